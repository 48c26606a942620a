"""The plan before a training: the planner's own rules, on what is known beforehand."""

import pytest

from inkstone.errors import RecipeError
from inkstone.recipe import Recipe, with_settings
from inkstone.training.planner import plan_vocabulary
from inkstone.training.preview import SHARE_FOR_TRAINING, preview
from inkstone.training.sizing import budget, shape_for

from .small_runs import MACHINE


def chosen(*arguments, **how):
    found = preview(*arguments, **how)
    return {each["name"]: each["value"] for each in found["choices"]}, found["predicted"]


def test_it_says_what_the_rules_of_the_planner_say():
    choices, predicted = chosen(5_000_000, 10, MACHINE)
    seconds = 600 * SHARE_FOR_TRAINING
    recipe = with_settings(Recipe(), ["train.minutes=10"])
    vocabulary = plan_vocabulary(recipe, 5_000_000, seconds, MACHINE).value
    shape, _ = shape_for(recipe, vocabulary, budget(MACHINE, seconds), predicted["tokens_of_text"])
    assert choices["vocabulary"] == vocabulary and choices["width × layers"] == f"{shape.width} × {shape.n_layers}"
    assert choices["context"] == shape.context and choices["number format"] == "float32"
    assert predicted["epochs"] == pytest.approx(predicted["tokens"] / predicted["tokens_of_text"])
    assert predicted["steps"] == predicted["tokens"] // choices["tokens a step"]


def test_more_minutes_buy_more_model():
    sizes = []
    for minutes in (1, 60):
        choices, _ = chosen(500_000_000, minutes, MACHINE)
        sizes.append(int(choices["width × layers"].split()[0]))
    assert sizes[0] < sizes[1]


def test_what_is_given_is_kept_and_what_cannot_hold_is_refused():
    choices, predicted = chosen(1_000_000, None, MACHINE, ["train.steps=7", "model.width=64", "model.n_layers=2"])
    assert choices["width × layers"] == "64 × 2" and predicted["steps"] == 7
    counted, _ = chosen(1_000_000, 1, MACHINE, ["model.family=ngram"])
    assert list(counted) == ["vocabulary"]
    with pytest.raises(RecipeError):
        preview(1_000_000, 1, MACHINE, ["model.order=3"])
    with pytest.raises(RecipeError, match="minutes"):
        preview(1_000_000, -1, MACHINE)
