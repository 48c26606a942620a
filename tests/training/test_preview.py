"""The plan before a training: the planner's own rules, on what is known beforehand."""

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.recipe import Recipe, with_settings
from inkstone.training import preview as module
from inkstone.training.planner import plan_vocabulary
from inkstone.training.preview import bytes_of_token, checked_recipe, pace_of_steps, preview, seconds_for_training
from inkstone.training.readings import readings_for
from inkstone.training.sizing import budget, settings_for, shape_for
from inkstone.training.timing import Pace

from .small_runs import MACHINE


def chosen(*arguments, **how):
    found = preview(*arguments, **how)
    return {each["name"]: each["value"] for each in found["choices"]}, found["predicted"]


def test_it_says_what_the_rules_of_the_planner_say():
    choices, predicted = chosen(5_000_000, 10, MACHINE)
    recipe = with_settings(Recipe(), ["train.minutes=10"])
    seconds = seconds_for_training(recipe, 5_000_000, MACHINE, 600.0)
    vocabulary = plan_vocabulary(recipe, 5_000_000, seconds, MACHINE).value
    shape, _ = shape_for(recipe, vocabulary, budget(MACHINE, seconds), predicted["tokens_of_text"])
    assert choices["vocabulary"] == vocabulary and choices["width × layers"] == f"{shape.width} × {shape.n_layers}"
    assert choices["context"] == shape.context and choices["number format"] == "float32"
    assert predicted["epochs"] == pytest.approx(predicted["tokens"] / predicted["tokens_of_text"])
    assert predicted["steps"] == predicted["tokens"] // choices["tokens a step"]
    assert predicted["tokens"] == pytest.approx(seconds * predicted["tokens_per_second"], rel=0.01)


def test_the_speed_is_that_of_steps_and_not_of_the_largest_product(monkeypatch):
    timed = []

    def fastest(recipe, settings, tokenizer, shards, rows, seconds):
        timed.append(
            (
                settings.width,
                rows * settings.context,
                recipe.train.dtype,
                recipe.train.optimizer,
                torch.get_num_threads(),
            )
        )
        assert shards.n_tokens > 20 * settings.context
        return Pace(1, 2, 123.0, "", 1_000_000)

    before = torch.get_num_threads()
    monkeypatch.setattr(module, "fastest_pace", fastest)
    choices, predicted = chosen(5_000_000, 1, MACHINE, ["train.threads=2"])
    width = int(choices["width × layers"].split()[0])
    assert timed == [(width, choices["tokens a step"], "float32", choices["optimiser"], 2)]
    assert predicted["tokens_per_second"] == 123 and torch.get_num_threads() == before


def test_a_text_is_not_read_oftener_than_it_is_worth(monkeypatch):
    monkeypatch.setattr(module, "fastest_pace", lambda *_: Pace(1, 2, 10_000.0, "", 1_000_000))
    choices, predicted = chosen(100_000, 60, MACHINE)
    worth = readings_for(1_000_000, predicted["tokens_of_text"])
    assert predicted["epochs"] == pytest.approx(worth, rel=0.02) and predicted["steps"] == choices["steps at most"]
    assert choices["dropout"] == 0.1
    choices, predicted = chosen(100_000_000, 60, MACHINE)
    assert "steps at most" not in choices and predicted["epochs"] < 2


@pytest.mark.parametrize("family", ["decoder", "recurrent", "encoder", "convolutional"])
def test_steps_of_every_kind_of_family_can_be_timed(monkeypatch, family):
    monkeypatch.setattr(module, "TRIAL", 0.01)
    recipe = checked_recipe(1, [f"model.family={family}", "train.batch_tokens=256", "train.optimizer=adamw"])
    recipe.train.learning_rate = recipe.train.scalar_learning_rate = 0.001
    recipe.train.weight_decay = 0.0
    pace = pace_of_steps(recipe, settings_for(recipe, 512, 64, 2), MACHINE)
    assert pace.tokens_per_second > 100 and (pace.weights is None) == (family in ("recurrent", "encoder"))


def test_what_is_not_training_takes_its_part_of_the_minutes():
    recipe = Recipe()
    shares = [seconds_for_training(recipe, 10_000_000, MACHINE, 60.0 * m) / (60 * m) for m in (0.5, 1, 5, 60)]
    assert shares == sorted(shares) and shares[0] < 0.6 < 0.75 < shares[-1] < 0.92
    less = seconds_for_training(recipe, 100_000, MACHINE, 60.0)
    assert seconds_for_training(recipe, 10_000_000, MACHINE, 60.0) < less < 56


def test_a_small_vocabulary_makes_more_tokens_of_a_text():
    assert bytes_of_token(512) < bytes_of_token(2048) < bytes_of_token(8192) < bytes_of_token(1 << 40) == 5
    _, guessed = chosen(1_000_000, 1, MACHINE, ["tokenizer.vocab_size=512"])
    _, counted = chosen(1_000_000, 1, MACHINE, ["tokenizer.vocab_size=512"], counted=(250_000, 8192))
    assert guessed["tokens_of_text"] == pytest.approx(1_000_000 / bytes_of_token(512), rel=0.01)
    assert counted["tokens_of_text"] == pytest.approx(250_000 * bytes_of_token(8192) / bytes_of_token(512), rel=0.01)


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
