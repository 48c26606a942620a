"""Preferences: the model as it began is at hand without a second one, the figures are their formulas, and a small model learns them."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from inference.decoders import byte_tokenizer, decoder
from inkstone.errors import RecipeError, RunError
from inkstone.hub.folder import load, save
from inkstone.layers.lora import add_lora
from inkstone.models.headed import Headed
from inkstone.run import Run
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.prefer import Prefer, Weighed
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.understanding import Understanding
from inkstone.text.preferences import Preference
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.example_batches import collate
from inkstone.training.tuning import tune

from .conversations import COLOURS, THINGS

STEPS = ["train.threads=1", "task.rows=16", "train.device=cpu", "train.learning_rate=0.003"]


def written(path, number, seed):
    """Of two answers the one that says less is preferred."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        thing, colour = draw.choice(THINGS), draw.choice(COLOURS)
        rows.append({"prompt": f"{colour} {thing}?", "chosen": f"{thing}.", "rejected": f"{thing}, {colour}!"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model with a chat template that has learned nothing."""
    folder = tmp_path_factory.mktemp("base")
    model = decoder(vocab_size=byte_tokenizer().vocab_size, n_layers=1, context=128)
    save(model, folder, ChatTemplate.chatml(byte_tokenizer()))
    return folder


def inputs_of(task, pairs):
    return [each for of_one in task.encode(pairs, Frame.of(byte_tokenizer(), 200)) for each in of_one]


def ready(base, **settings):
    task = Prefer(**settings)
    task.converse(byte_tokenizer(), base)
    return task, Headed(load(base), task.head()).eval()


PAIRS = [
    Preference("1", [{"role": "user", "content": "Why?"}], "ink.", "I do not know that."),
    Preference("2", [{"role": "user", "content": "What is red?"}], "the seal", "no"),
]


def test_log_chances_are_those_of_the_answers_alone(base):
    task, model = ready(base)
    inputs = inputs_of(task, PAIRS)
    told = task.outputs(model, collate(inputs))
    template = task.template_of()
    for pair, found in zip(PAIRS, told, strict=True):
        for number, answer in enumerate((pair.chosen, pair.rejected)):
            taught = template.taught([*pair.messages, {"role": "assistant", "content": answer}])
            ids = torch.tensor(taught.ids)[None]
            scores = model.body(ids)[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
            marks = torch.tensor(taught.answers)[1:]
            assert found.model[number] == pytest.approx(float(scores[marks].sum()), rel=1e-4)
            assert found.tokens[number] == int(marks.sum())
        assert found.reference == pytest.approx(found.model) and found.divergence == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("objective", ["dpo", "ipo", "orpo"])
def test_the_model_as_it_began_is_the_same_by_leaving_changes_out_as_asked_beforehand(base, objective):
    task, model = ready(base, objective=objective)
    inputs = inputs_of(task, PAIRS)
    before = task.with_reference(model, inputs)
    assert all((each.reference is None) == (objective == "orpo") for each in before)
    add_lora(model.body, 2, 4.0, generator=torch.Generator().manual_seed(0))
    assert all(each.reference is None for each in task.with_reference(model, inputs))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    by_lora, kept = (task.loss(model, collate(each), generator) for each in (inputs, before))
    torch.testing.assert_close(by_lora, kept)
    one_by_one = [task.nats(model, collate([each])) for each in inputs]
    assert float(kept) == pytest.approx(sum(nats for nats, _ in one_by_one) / 2, rel=1e-4)
    assert task.nats(model, collate(before)) == (pytest.approx(2 * float(kept), rel=1e-4), 2)


def test_figures_are_their_formulas():
    task = Prefer(beta=0.5)
    told = [
        Weighed(None, (-4.0, -8.0), (-6.0, -9.0), (4, 4), 2.0),  # rewards 1 and 0.5, likelier
        Weighed(None, (-9.0, -2.0), (-8.0, -6.0), (3, 1), 4.0),  # −0.5 and 2
        Weighed(None, (-3.0, -3.0), (-3.0, -3.0), (3, 3), 0.0),  # a tie
    ]
    answers = [task.answer(pair, [each]) for pair, each in zip([*PAIRS, PAIRS[0]], told, strict=True)]
    values = {name: measure.value for name, measure in task.measures([*PAIRS, PAIRS[0]], answers).items()}
    assert values == {
        "reward accuracy": pytest.approx(1.5 / 3),
        "likelier": pytest.approx(1.5 / 3),
        "margin": pytest.approx((0.5 - 2.5 + 0.0) / 3),
        "KL": pytest.approx(6.0 / 18),
    }
    rows = task.mistakes(PAIRS, answers[:2])
    assert [row["right"] for row in rows] == [True, False] and rows[1]["predicted"] == PAIRS[1].rejected


def test_the_divergence_is_exact_over_the_vocabulary(base):
    task, model = ready(base)
    other = decoder(vocab_size=byte_tokenizer().vocab_size, n_layers=1, context=128)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.1)
    (found,) = task.outputs(Headed(other, task.head()).eval(), collate(inputs_of(task, PAIRS[:1])))
    expected = 0.0
    for answer in (PAIRS[0].chosen, PAIRS[0].rejected):
        taught = task.template_of().taught([*PAIRS[0].messages, {"role": "assistant", "content": answer}])
        ids, marks = torch.tensor(taught.ids)[None], torch.tensor(taught.answers)[1:]
        ours, theirs = (m(ids)[0, :-1][marks].double().log_softmax(-1) for m in (other, model.body))
        expected += float((ours.exp() * (ours - theirs)).sum())
    assert found.divergence == pytest.approx(expected, rel=1e-4) and expected > 0.1


def test_the_yardstick_is_the_length_that_people_preferred():
    name, (answers,) = Prefer().yardstick([PAIRS[0]] * 3, [PAIRS], 0)
    measures = Prefer().measures(PAIRS, answers)
    assert name == "the shorter answer" and list(measures) == ["reward accuracy"]
    assert measures["reward accuracy"].value == 0.5


def test_what_cannot_be_is_refused(base, tmp_path):
    with pytest.raises(RecipeError, match=r"objective = 'ppo'.*dpo, ipo, orpo"):
        Prefer(objective="ppo")
    with pytest.raises(RecipeError, match="beta = 0"):
        Prefer(beta=0)
    with pytest.raises(RecipeError, match="needs a model that answers already"):
        Prefer().converse(byte_tokenizer(), None)
    task, model = ready(base)
    task.reference = str(tmp_path / "gone")
    with pytest.raises(RunError, match="need the model as it began"):
        task.outputs(model, collate(inputs_of(task, PAIRS)))
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"prompt": "a", "chosen": "b", "rejected": "b"}\n{"prompt": "a", "chosen": "b", "rejected": "c"}\n'
    )
    understanding = Understanding("train", [str(path)])
    assert len(Prefer().read([str(path)], understanding)) == 1 and "are the same" in str(understanding.refused)


@pytest.mark.parametrize(("objective", "lora"), [("dpo", True), ("dpo", False), ("ipo", False), ("orpo", False)])
def test_it_learns_what_was_preferred(base, tmp_path, objective, lora):
    train, test = written(tmp_path / "train.jsonl", 60, 1), written(tmp_path / "test.jsonl", 20, 2)
    settings = [*STEPS, "train.steps=20", f"task.objective={objective}", *(["task.lora_rank=4"] if lora else [])]
    outcome = tune("prefer", [train], test=[test], model=base, settings=settings, out=tmp_path / "run", quiet=True)
    figures = {name: figure["value"] for name, figure in outcome["figures"]["test"].items()}
    assert figures["reward accuracy"] > 0.9 and figures["margin"] > 0.05 and 0 < figures["KL"] < math.inf
    assert outcome["yardstick"]["name"] == "the shorter answer"
    if objective == "dpo":
        losses = [entry["loss"] for entry in Run(tmp_path / "run").metrics("train")]
        assert losses[0] == pytest.approx(math.log(2), rel=1e-3)
        assert score(tmp_path / "run", [test], device="cpu")["figures"] == outcome["figures"]["test"]
        assert load(tmp_path / "run").family == "decoder" and ChatTemplate.of(tmp_path / "run", byte_tokenizer())
        (told,) = predict(tmp_path / "run", ["red ink?"], device="cpu")
        assert isinstance(told["answer"], str)
        assert Predictor.load(tmp_path / "run").task.reference == str(base.resolve())
        assert (tmp_path / "run" / "adapter").exists() == lora


def test_the_model_as_it_began_is_found_where_both_were_moved_and_where_the_run_alone_was(base, tmp_path):
    train = written(tmp_path / "train.jsonl", 20, 1)
    shutil.copytree(base, tmp_path / "here" / "base")
    run = tmp_path / "here" / "runs" / "one"
    settings = [*STEPS, "train.steps=2", "task.yardstick=false"]
    tune("prefer", [train], model=tmp_path / "here" / "base", settings=settings, out=run, quiet=True)
    figures = score(run, [train], device="cpu")["figures"]
    shutil.copytree(run, tmp_path / "alone")
    assert score(tmp_path / "alone", [train], device="cpu")["figures"] == figures
    (tmp_path / "here").rename(tmp_path / "there")
    assert score(tmp_path / "there" / "runs" / "one", [train], device="cpu")["figures"] == figures
    with pytest.raises(RunError, match="need the model as it began"):
        score(tmp_path / "alone", [train], device="cpu")


@pytest.mark.parametrize("lora", [False, True])
def test_a_run_that_was_stopped_ends_where_an_unbroken_one_ends(base, tmp_path, lora):
    class Stopped(Exception):
        pass

    def watch(step, value):
        raise Stopped

    data = written(tmp_path / "train.jsonl", 40, 1)
    settings = [*STEPS, "train.steps=6", "train.checkpoint_steps=1", "train.evaluate_steps=3", "task.patience=9"]
    settings += ["task.lora_rank=2"] if lora else []
    with pytest.raises(Stopped):
        tune("prefer", [data], model=base, settings=settings, out=tmp_path / "broken", quiet=True, watch=watch)
    broken = tune(resume=tmp_path / "broken", quiet=True)
    whole = tune("prefer", [data], model=base, settings=settings, out=tmp_path / "whole", quiet=True)
    assert broken["figures"] == whole["figures"]
    weights = [dict(load(tmp_path / name).state_dict()) for name in ("broken", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
