"""The choices of tuning."""

import numpy as np
import pytest
import torch

from hub.checkpoints import decoder, some_ids, tokenizer
from inkstone.errors import RecipeError
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.whisper import Whisper, WhisperSettings
from inkstone.recipe import Recipe, with_settings
from inkstone.tasks.classify import Classify
from inkstone.tokens.example_batches import Encoded
from inkstone.training import tuning_plan
from inkstone.training.planner import GIVEN
from inkstone.training.tuning_plan import body_that_fits, plan_steps, with_dropout


@pytest.mark.parametrize(
    "own, given, expected, why",
    [
        (0.0, None, 0.1, "it was trained without"),
        (0.25, None, 0.25, "as it was trained"),
        (0.25, 0.0, 0.0, GIVEN),
        (0.0, 0.0, 0.0, GIVEN),
    ],
)
@torch.no_grad()
def test_a_body_keeps_its_dropout_and_gets_some_where_it_has_none(own, given, expected, why):
    body = decoder("qwen3", dropout=own)
    tuned, (choice,) = with_dropout(body, given)
    assert tuned.settings.dropout == choice.value == expected and why in choice.why
    ids = some_ids(2, 20)
    torch.testing.assert_close(tuned.eval().hidden(ids), body.hidden(ids))
    drawn = [tuned.train().hidden(ids) for _ in range(2)]
    assert torch.equal(*drawn) == (expected == 0)


def test_a_whisper_is_a_body_for_recordings_alone():
    shape = dict(width=8, n_layers=1, n_heads=2, hidden=8, context=8, source_context=4)
    whisper = Whisper(WhisperSettings(vocab_size=tokenizer().vocab_size, **shape), tokenizer())
    assert body_that_fits(whisper, "transcribe") is whisper
    with pytest.raises(RecipeError, match="inkstone tune transcribe DATA --from CHECKPOINT"):
        body_that_fits(whisper, "classify")


def test_a_body_that_cannot_drop_anything_is_left_as_it_is():
    class Bare:
        settings = None

    body = Bare()
    assert with_dropout(body, None) == (body, [])


@pytest.mark.parametrize(("in_bfloat16", "taken"), [(0.04, "bfloat16"), (0.095, "float32"), (0.2, "float32")])
def test_bfloat16_is_taken_where_a_step_is_clearly_faster_and_leaves_no_trace_elsewhere(
    monkeypatch, in_bfloat16, taken
):
    model = Headed(decoder("qwen3"), HeadSettings("class", ("a", "b")))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def seconds(recipe, task, model, *_):
        return (in_bfloat16 if model.scores.weight.dtype == torch.bfloat16 else 0.1), []

    monkeypatch.setattr(tuning_plan, "_seconds_of_step", seconds)
    recipe, inputs = Recipe(), [Encoded(np.arange(4), target=np.array(0))] * 64
    steps, each, choices = plan_steps(recipe, Classify(labels=("a", "b")), model, inputs, 1.0, short=True)
    assert recipe.train.dtype == taken and {c.name: c.value for c in choices}["number format"] == taken
    assert each == (in_bfloat16 if taken == "bfloat16" else 0.1) and steps == int(1.0 / each)
    after = model.state_dict()
    assert all(tensor.dtype == getattr(torch, taken) for tensor in after.values() if tensor.is_floating_point())
    if taken == "float32":
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_run_of_so_many_steps_is_not_timed(monkeypatch):
    monkeypatch.setattr(tuning_plan, "_seconds_of_step", None)
    recipe = with_settings(Recipe(), ["train.steps=7"])
    inputs = [Encoded(np.arange(4), target=np.array(0))] * 8
    steps, each, _ = plan_steps(recipe, Classify(), None, inputs, None, short=True)  # type: ignore[arg-type]
    assert (steps, each, recipe.train.dtype) == (7, None, "auto")
