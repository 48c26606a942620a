"""Excerpts beside a model that writes: when which of them is given, from which text they are taken, and a run that keeps both."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from inkstone.errors import RunError
from inkstone.tasks.excerpts_beside import NEVER, Excerpt, Shortened, best_excerpt, learned, sure_enough
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.summarize import Summarize
from inkstone.tasks.written import Pair, Said
from inkstone.tokens.example_batches import collate
from inkstone.training.tuning import tune

COLOURS, THINGS = ("black", "white", "red", "green"), ("ink", "stone", "paper", "brush", "seal")


def stories(number, seed):
    draw = np.random.default_rng(seed)
    found = []
    for row in range(number):
        what = f"{draw.choice(COLOURS)} {draw.choice(THINGS)}"
        found.append(
            Pair(str(row), f"We saw a {draw.choice(THINGS)}. Mark that {what} is here. Nobody spoke.", (what,))
        )
    return found


def written(path, number, seed):
    rows = [{"text": pair.source, "summary": pair.targets[0]} for pair in stories(number, seed)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_bound_is_the_one_with_the_best_mean():
    draw = np.random.default_rng(0)
    for _ in range(200):
        confidences = draw.integers(0, 5, 7) / 5
        own, taken = draw.integers(0, 4, 7) / 4, draw.integers(0, 4, 7) / 4
        worth = {
            bound: np.where(confidences >= bound, own, taken).sum() for bound in (0.0, *confidences.tolist(), NEVER)
        }
        bound = sure_enough(confidences.tolist(), own, taken)
        assert worth[bound] == max(worth.values())
    assert sure_enough([0.5, 0.7], np.array([0.5, 0.5]), np.array([0.5, 0.5])) == NEVER
    assert sure_enough([], np.zeros(0), np.zeros(0)) == NEVER


def test_an_excerpt_may_be_a_little_longer_than_the_longest_summaries():
    model = learned([Pair("1", "One two three. Four five.", ("a b c d e f g h i j",)), *stories(3, 0)])
    assert model.longest == 12 and learned(stories(3, 0)).longest == 4


def test_what_was_written_is_given_where_the_model_is_sure_of_it():
    task = Summarize(blend=True, sure=0.5)
    outputs = [Said("written", float(np.log(0.6)), 1), Excerpt("taken", float(np.log(0.2)), 1)]
    assert task.answer(stories(1, 0)[0], outputs) == {"summary": "written", "confidence": pytest.approx(0.6)}
    task.sure = 0.7
    told = task.answer(stories(1, 0)[0], outputs)
    assert told == {"summary": "taken", "confidence": pytest.approx(0.2), "excerpt": True}
    assert task.answer(stories(1, 0)[0], outputs[:1])["summary"] == "written"


def test_of_the_excerpts_that_one_is_taken_of_which_both_hold_most():
    found = [Excerpt("a", -1.0, 1, nats=3.0), Excerpt("b", -1.5, 1, nats=1.0), Excerpt("c", -4.0, 1, nats=0.5)]
    assert [best_excerpt(found, share).text for share in (0.0, 0.2, 0.5, 9.0)] == ["a", "a", "b", "c"]


def test_what_the_judgement_of_the_model_counts_is_chosen_by_what_is_known():
    task, examples = Summarize(blend=True), stories(6, 0)
    helpful = [
        [Said("", -1.0, 1), Excerpt("Nobody", -1.0, 1, nats=4.0), Excerpt(pair.targets[0], -2.0, 1, nats=1.0)]
        for pair in examples
    ]
    task.settle(examples, helpful)
    assert task.judgement == 0.5 and task.sure == NEVER and task.answer(examples[0], helpful[0])["summary"] != "Nobody"
    task.settle(examples, [[own, replace(right, log_chance=0.0, nats=9.0), wrong] for own, wrong, right in helpful])
    assert task.judgement == 0.0


def test_how_sure_it_must_be_is_chosen_by_what_is_known(tmp_path):
    task, examples = Summarize(blend=True), stories(12, 0)
    task.learn_beside(examples, tmp_path)
    task.open_beside(tmp_path)
    taken = Excerpt("Nobody", -1.0, 1)
    said = [[Said(e.targets[0] if row < 4 else "", -0.1 * row, 1), taken] for row, e in enumerate(examples)]
    task.settle(examples, said)
    assert np.exp(-0.4) < task.sure <= np.exp(-0.3)
    before, pieces = task.sure, [Said("nothing", -0.1, 1), Said("nothing", -0.1, 1), taken]
    task.settle([*examples, examples[0]], [*said, pieces])  # one of several pieces does not count,
    assert task.sure == before
    task.settle(examples[:1], [pieces])  # but where there are no others
    assert task.sure == NEVER
    task.sure = before
    task.settle(examples, task.beside(examples, [[Said("nothing", -0.1, 1)] for _ in examples]))
    assert task.sure == NEVER
    again = Summarize.of(task.to_dict())
    assert again.sure == NEVER and again.blend and Summarize().passes_to_settle == 0 and again.passes_to_settle == 1


def test_of_a_long_text_the_excerpt_is_taken_from_the_whole(tmp_path):
    task, examples = Summarize(blend=True, sure=NEVER), stories(40, 0)
    task.learn_beside(examples, tmp_path)
    task.open_beside(tmp_path)
    pieces = [Said("one", -1.0, 1), Said("two", -1.0, 1)]
    (outputs,) = task.beside(examples[:1], [pieces])
    again = task.further(examples[0], outputs)
    assert isinstance(again, Shortened) and again.source == "one two" and again.targets == examples[0].targets
    (outputs,) = task.beside([again], [[Said("three", -1.0, 1)]])
    assert task.answer(again, outputs)["summary"] in examples[0].source and task.further(again, outputs) is again


def test_without_blend_nothing_is_kept_and_what_is_missing_is_said(tmp_path):
    task = Summarize()
    task.learn_beside(stories(3, 0), tmp_path)
    task.open_beside(tmp_path)
    assert not list(tmp_path.iterdir()) and task.beside(stories(1, 0), [[Said("a", 0.0, 1)]]) == [[Said("a", 0.0, 1)]]
    with pytest.raises(RunError, match="excerpts"):
        Summarize(blend=True).open_beside(tmp_path)


def test_a_run_keeps_both_and_asks_them_again(tmp_path):
    data, test = written(tmp_path / "train.jsonl", 120, 1), written(tmp_path / "test.jsonl", 30, 2)
    shape = ["model.width=32", "model.n_layers=1", "tokenizer.vocab_size=300", "train.device=cpu"]
    settings = [*shape, "train.steps=3", "train.threads=1", "task.blend=true"]
    outcome = tune("summarize", [data], test=[test], settings=settings, out=tmp_path / "run", quiet=True)
    figures = outcome["figures"]["test"]
    assert figures["ROUGE-L"]["value"] > 0.9  # three steps teach the model nothing
    assert score(tmp_path / "run", [test], device="cpu")["figures"] == figures
    (answer,) = predict(tmp_path / "run", ["We saw ink. Mark that green seal is here. Nobody spoke."], device="cpu")
    assert answer["summary"] == "green seal" and answer["excerpt"] and 0 < answer["confidence"] <= 1
    assert "the model of excerpts in `excerpts`" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    predictor = Predictor.load(tmp_path / "run", "cpu")
    task, frame = predictor.task, predictor.frame
    assert isinstance(task, Summarize) and task.sure > 0
    (pair,) = stories(1, 3)
    (outputs,) = predictor.outputs([pair])
    assert len(outputs) == 11
    source = frame.tokenizer.encode(pair.source)
    for excerpt in outputs[1:]:
        alone = task.inputs_of_pair(frame, np.array(source), np.array(frame.tokenizer.encode(excerpt.text)))
        with torch.inference_mode():
            nats, tokens = task.nats(predictor.model, collate([alone]))
        assert excerpt.nats == pytest.approx(nats / tokens, rel=1e-4)


def test_too_few_minutes_for_both_say_what_can_be_left_out(tmp_path):
    data = written(tmp_path / "train.jsonl", 60, 1)
    settings = ["task.blend=true", "train.threads=1", "train.device=cpu", "tokenizer.vocab_size=300"]
    with pytest.raises(RunError, match=r"nothing is left .* or the model beside: --set task\.blend=false"):
        tune("summarize", [data], settings=settings, minutes=0.01, out=tmp_path / "run", quiet=True)
