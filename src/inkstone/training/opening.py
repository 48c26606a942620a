"""How whatever makes a run begins: with the recipe that a file, settings and options make, or with a run that is gone on with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inkstone.files import clear_unfinished
from inkstone.hub.download import local_folder
from inkstone.hub.folder import read_config
from inkstone.recipe import Recipe, load_recipe, with_settings
from inkstone.run import Run
from inkstone.text.sources import check_there
from inkstone.tokens.tokenizer import Tokenizer

Option = tuple[str, str, Any]  # as it is called on the command line, the setting that it is, its value; None: not given


def recipe_of(recipe: str | Path | None, settings: Sequence[str], options: Sequence[Option], minutes: float) -> Recipe:
    """The recipe of a file, or none, with settings and options over it; where neither minutes nor steps are said, with so many minutes.

    Raises RecipeError for what is no setting, or an impossible value, by the name under which it was given.
    """
    chosen = with_settings(load_recipe(Path(recipe)) if recipe else Recipe(), settings)
    for option, setting, value in options:
        if value is not None:
            chosen = with_settings(chosen, [f"{setting}={value}"], option)
    if chosen.train.minutes is None and chosen.train.steps is None:
        chosen.train.minutes = minutes
    return chosen


def check_places(recipe: Recipe) -> None:
    """Refuse, before any work is done, a recipe that names files or a model that are not there. Raises TextError, RunError."""
    text = recipe.text
    check_there([*text.sources, *text.held_out_sources, *text.test_sources])
    if recipe.tokenizer.path:
        Tokenizer.load(recipe.tokenizer.path)
    if recipe.task.model is not None:
        read_config(local_folder(recipe.task.model))


@contextmanager
def gone_on_with(run: Run) -> Iterator[Run]:
    """A run that is gone on with, claimed for this process, without what an earlier one left half written."""
    with run.claimed():
        clear_unfinished(run.folder)
        yield run
