"""`inkstone tune language-modelling`: a language model learns from more text, and keeps what it knows.

Continued pre-training as Ibrahim et al. 2024 ("Simple and Scalable Strategies to Continually Pre-train Large Language Models")
found it to serve: the learning rate rises again and falls again, and a share of what is read is text that the model was trained on.
Of that text a part was kept aside; it is scored before and after, so that what was forgotten is known.

The stages are in `adaptation`; what is the old text, `old_text` says; how a tokenizer gets tokens for a new language,
`tokens/extending.py`.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkstone.environment import pick_device
from inkstone.errors import RecipeError
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe, TaskSection
from inkstone.run import Run
from inkstone.tasks.parts import of_part
from inkstone.text.sources import check_there
from inkstone.training.adaptation import OF_MODEL, Adaptation
from inkstone.training.opening import check_places, gone_on_with, recipe_of
from inkstone.training.placing import new_run
from inkstone.training.pretraining import DEFAULT_MINUTES
from inkstone.training.supervision import supervised

SETTINGS = ("name", "model", "replay", "replay_text", "extend_tokenizer")  # of the section [task]


def adapt(
    text: Sequence[str] = (),
    *,
    model: str | Path | None = None,
    held_out: Sequence[str] = (),
    minutes: float | None = None,
    out: str | Path | None = None,
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    resume: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    began: float | None = None,
) -> dict[str, Any]:
    """Train a language model further on new text, everything included in `minutes` of wall clock.

    text: the new text, as `train` takes it; documents that a run has read before are told and left out.
    model: a run, whose text is the old one, or a checkpoint folder. held_out: new text to score on, instead of a part of `text`.
    The rest as `train` takes it; of the recipe, `task.replay`, `task.replay_text` and `task.extend_tokenizer` are for this.

    Returns the outcome of `train`, and beside it the bits per byte on new and old text before and after, and `forgetting`, the
    relative change on old text. Raises TextError, RecipeError, RunError, CheckpointError; `Interrupted` on Ctrl-C and SIGTERM.
    """
    began = time.perf_counter() if began is None else began
    line = LiveLine(quiet=quiet)
    if resume is not None:
        run = Run.open(resume)
        with gone_on_with(run):
            return _adapt(run, run.recipe(), began, line, resumed=True)
    options = [("--minutes", "train.minutes", minutes), ("--from", "task.model", model)]
    chosen = recipe_of(recipe, settings, options, DEFAULT_MINUTES)
    if text:
        chosen.text.sources = [str(source) for source in text]
    if held_out:
        chosen.text.held_out_sources = of_part(held_out, "valid")
    check(chosen)
    with new_run(out, chosen, fresh) as run:
        return _adapt(run, chosen, began, line, resumed=False)


def check(recipe: Recipe) -> None:
    """Refuse, before any work is done, what could only fail later. Raises RecipeError, RunError, TextError."""
    task = recipe.task
    if not recipe.text.sources:
        raise RecipeError("new text is missing: inkstone tune language-modelling NEW_TEXT --from RUN")
    if task.model is None:
        raise RecipeError(
            "a model to go on from is missing: inkstone tune language-modelling NEW_TEXT --from RUN; "
            "a language model from the start is made by: inkstone train TEXT"
        )
    usual = TaskSection().model_dump()
    for name, value in task.model_dump().items():
        if name not in SETTINGS and value != usual[name]:
            raise RecipeError(f"task.{name}: language-modelling has no such setting; it has {', '.join(SETTINGS[2:])}")
    for name in recipe.model.model_dump(exclude_none=True, exclude={"family", *OF_MODEL}):
        raise RecipeError(f"model.{name}: the model that is adapted keeps its shape; leave it out")
    if recipe.tokenizer.path or recipe.tokenizer.vocab_size or recipe.train.vectors or recipe.train.start != "auto":
        raise RecipeError(
            "tokenizer.path, tokenizer.vocab_size, train.vectors and train.start are for a model from the start; tokens are added "
            "by task.extend_tokenizer"
        )
    if isinstance(task.extend_tokenizer, int) and task.extend_tokenizer < 0:
        raise RecipeError(f"task.extend_tokenizer = {task.extend_tokenizer}, but must be at least 0, or 'auto'")
    pick_device(recipe.train.device)
    check_places(recipe)
    if task.replay_text:
        check_there([task.replay_text])


def _adapt(run: Run, recipe: Recipe, began: float, line: LiveLine, resumed: bool) -> dict[str, Any]:
    with supervised(run, "tune", resumed) as interruption:
        return Adaptation(run, recipe, began, line, interruption, resumed).complete()
