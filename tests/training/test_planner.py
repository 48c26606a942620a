"""The planner resolves every choice, keeps what was given, and says why."""

from dataclasses import fields

import pytest

from inkstone.recipe import Recipe, with_settings
from inkstone.training.machine import Machine
from inkstone.training.planner import GIVEN, make_plan, plan_vocabulary, predict_bits_per_byte
from training.small_runs import byte_tokenizer, prose, small_shards

MACHINE = Machine("cpu", "a chip", 1, 1, 8 << 30, {"float32": 1.0, "bfloat16": 0.1}, 5.0)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return small_shards(tmp_path_factory.mktemp("shards") / "train", [prose(4000, seed=seed) for seed in range(3)])


def plan(shards, *settings: str, seconds: float | None = 20.0):
    recipe = with_settings(Recipe(), list(settings))
    return make_plan(recipe, shards, byte_tokenizer(), MACHINE, seconds, trial=0.01)


@pytest.mark.parametrize("settings", [[], ["train.steps=7"], ["model.layout=gpt2", "train.optimizer=muon"]])
def test_nothing_is_left_open(shards, settings):
    chosen = plan(shards, *settings)
    train, model = chosen.recipe.train, chosen.recipe.model
    of_the_family = {field.name for field in fields(chosen.settings)} & set(type(model).model_fields)
    assert {"width", "n_layers", "n_heads", "context", "layout", "tied", "dropout"} <= of_the_family
    assert all(getattr(model, name) is not None for name in of_the_family)
    assert all(getattr(model, name) is None for name in set(type(model).model_fields) - of_the_family - {"family"})
    open_ones = {name for name in type(train).model_fields if getattr(train, name) is None}
    assert open_ones <= {"minutes", "steps", "checkpoint_steps", "evaluate_steps", "vectors"}
    assert {train.optimizer, train.start, train.dtype, train.device} & {"auto"} == set()
    assert train.batch_tokens % train.micro_batch_tokens == 0 and train.micro_batch_tokens % model.context == 0
    assert with_settings(chosen.recipe, []) == chosen.recipe
    assert all(choice.why for choice in chosen.choices)


def test_what_is_given_stays_and_is_said_to_be_given(shards):
    chosen = plan(
        shards, "model.width=32", "model.n_layers=1", "model.context=24", "train.batch_tokens=96", "model.dropout=0.3"
    )
    model = chosen.recipe.model
    assert (model.width, model.n_layers, model.context, model.dropout) == (32, 1, 24, 0.3)
    assert chosen.recipe.train.batch_tokens == 96
    reasons = {choice.name: choice.why for choice in chosen.choices}
    assert reasons["width × layers"] == reasons["context"] == reasons["tokens a step"] == GIVEN


def test_a_run_of_steps_is_planned_without_a_clock(shards):
    first, second = (plan(shards, "train.steps=7", seconds=None) for _ in range(2))
    assert first.recipe == second.recipe and first.seconds is None
    assert first.predicted["steps"] == 7 and "tokens_per_second" not in first.predicted


def test_a_run_of_minutes_foresees_its_tokens(shards):
    chosen = plan(shards, seconds=1.0)
    predicted, step = chosen.predicted, chosen.recipe.train.batch_tokens
    assert predicted["tokens"] == predicted["steps"] * step
    assert 0 <= predicted["tokens_per_second"] * chosen.seconds - predicted["tokens"] < step
    assert predicted["epochs"] == predicted["tokens"] / shards.n_tokens


def test_the_text_that_is_read_often_gets_dropout(shards):
    assert plan(shards, "train.steps=1", "train.batch_tokens=64").settings.dropout == 0
    assert plan(shards, "train.steps=1000").settings.dropout > 0


def test_vocabulary_given_or_bounded_by_the_text():
    given = plan_vocabulary(with_settings(Recipe(), ["tokenizer.vocab_size=777"]), 10**6, 60.0, MACHINE)
    assert (given.value, given.why) == (777, GIVEN)
    assert (
        plan_vocabulary(Recipe(), 20_000, 3600.0, MACHINE).value
        < plan_vocabulary(Recipe(), 10**9, 3600.0, MACHINE).value
    )


def test_more_work_promises_less_loss_and_rereading_promises_less_than_new_text():
    works = [1e11, 1e12, 1e13, 1e14]
    for start in ("bigrams", "random"):
        figures = [predict_bits_per_byte(3.0, start, work, 1.0) for work in works]
        assert figures == sorted(figures, reverse=True) and figures[0] <= 3.0
        assert predict_bits_per_byte(3.0, start, 1e13, 40.0) > predict_bits_per_byte(3.0, start, 1e13, 1.0)
