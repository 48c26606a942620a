"""How runs begin: what a file, settings and options make of a recipe, in this order; and a run that is gone on with."""

import pytest

from inkstone.errors import RecipeError, RunError
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.training.opening import gone_on_with, recipe_of


def test_settings_hold_over_the_file_and_options_over_both(tmp_path):
    (tmp_path / "a.toml").write_text("[train]\nminutes = 3.0\nseed = 4\n[model]\nwidth = 32\n", encoding="utf-8")
    options = [
        ("--minutes", "train.minutes", 7),
        ("--family", "model.family", None),
        ("--from", "task.model", tmp_path),
    ]
    found = recipe_of(tmp_path / "a.toml", ["train.seed=5"], options, 9.0)
    assert (found.train.minutes, found.train.seed, found.model.width, found.task.model) == (7.0, 5, 32, str(tmp_path))
    assert found.model.family == Recipe().model.family


@pytest.mark.parametrize(("settings", "minutes"), [([], 9.0), (["train.minutes=2"], 2.0), (["train.steps=3"], None)])
def test_minutes_are_given_where_neither_they_nor_steps_are_said(settings, minutes):
    assert recipe_of(None, settings, [], 9.0).train.minutes == minutes


def test_an_impossible_value_is_named_as_it_was_given():
    with pytest.raises(RecipeError, match="--minutes"):
        recipe_of(None, [], [("--minutes", "train.minutes", -1)], 5.0)
    with pytest.raises(RecipeError, match="widht"):
        recipe_of(None, ["model.widht=3"], [], 5.0)


def test_a_run_is_gone_on_with_by_one_and_without_what_was_left_half_written(tmp_path):
    run = Run.create(tmp_path / "run", Recipe())
    left = run.folder / ".model.safetensors.0.part"
    left.write_bytes(b"half")
    with gone_on_with(run):
        assert not left.exists()
        with pytest.raises(RunError), gone_on_with(Run(run.folder)):
            pass
    with gone_on_with(Run(run.folder)) as again:
        assert again.folder == run.folder
