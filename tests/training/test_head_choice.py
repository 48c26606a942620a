"""Heads by their bodies, and what they take from the model that is tuned."""

import pytest
import torch

from hub.checkpoints import decoder
from hub.test_bert import own
from inkstone.models.headed import Headed, HeadSettings
from inkstone.recipe import TaskSection
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.head_choice import begin_at_head, head_for

LABELS = ("bad", "good", "odd")


def headed(kind="class", labels=LABELS, seed=0, **options) -> Headed:
    model = Headed(own(), HeadSettings(kind, labels, **options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("body."):
                weight.normal_(generator=generator)
    return model


def foreign():
    body = own()
    body.tokenizer = Tokenizer(body.tokenizer.backend, "foreign", body.tokenizer.end)
    return body


@pytest.mark.parametrize(
    "source, section, expected",
    [
        (lambda: None, {}, ("mean", False)),  # a body from the start
        (own, {}, ("mean", False)),
        (foreign, {}, ("first", True)),
        (lambda: Headed(foreign(), HeadSettings("token", LABELS)), {}, ("first", True)),
        (lambda: headed(pooling="max"), {}, ("max", False)),
        (lambda: decoder("qwen3"), {}, ("last", False)),
        (foreign, {"pooling": "mean"}, ("mean", False)),
        (lambda: decoder("qwen3"), {"dense": True}, ("mean", True)),
    ],
)
def test_what_the_recipe_leaves_open_follows_the_body(source, section, expected):
    given = HeadSettings("class", LABELS, section.get("pooling", "mean"), section.get("dense", False))
    body = source()
    head, choices = head_for(given, TaskSection(name="classify", **section), body)
    assert (head.pooling, head.dense) == expected
    assert len(choices) == (body is not None and not section)


def test_the_head_of_other_tasks_stays():
    given = HeadSettings("span")
    assert head_for(given, TaskSection(name="answer"), foreign()) == (given, [])


def test_a_head_goes_on_where_its_labels_are_the_same_in_whatever_order():
    before, model = headed(labels=("odd", "good", "bad"), dense=True), headed(dense=True, seed=1)
    (choice,) = begin_at_head(model, before, None)
    assert "its dense layer and the scores of the same labels" in choice.why
    assert torch.equal(model.dense.weight, before.dense.weight)
    assert torch.equal(model.scores.weight, before.scores.weight[[2, 1, 0]])
    assert torch.equal(model.scores.bias, before.scores.bias[[2, 1, 0]])


def test_a_crf_goes_on_with_its_tags():
    before, model = headed("token", ("odd", "good", "bad"), crf=True), headed("token", crf=True, seed=1)
    begin_at_head(model, before, None)
    assert model.crf.move[0, 1] == before.crf.move[2, 1] and model.crf.start[0] == before.crf.start[2]


def test_the_pooler_of_a_checkpoint_is_taken_for_the_first_state_alone():
    pooler = {"weight": torch.ones(32, 32), "bias": torch.ones(32)}
    first = headed(pooling="first", dense=True)
    (choice,) = begin_at_head(first, own(), pooler)
    assert choice.why.endswith(": its dense layer") and torch.equal(first.dense.weight, pooler["weight"])
    for model in (headed(pooling="mean", dense=True), headed(pooling="first")):
        assert begin_at_head(model, own(), pooler) == []


@pytest.mark.parametrize(
    "before",
    [
        lambda: None,
        own,
        lambda: headed(labels=("bad", "good")),
        lambda: headed(pooling="max"),
        lambda: headed("token"),
        lambda: headed(dense=True),
    ],
)
def test_nothing_is_taken_from_a_head_that_means_something_else(before):
    model = headed(seed=1)
    own_scores = model.scores.weight.clone()
    assert begin_at_head(model, before(), None) == []
    assert torch.equal(model.scores.weight, own_scores)
