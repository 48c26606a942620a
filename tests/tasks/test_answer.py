"""Answers in contexts: what is read of a file, what the loss and the answers are, and a run that answers from end to end."""

import json
import math

import numpy as np
import pytest
import torch

from inkstone import eval, predict, tune
from inkstone.errors import RecipeError, TextError
from inkstone.recipe import load_recipe
from inkstone.run import Run
from inkstone.tasks.answer import ExtractAnswer, Question
from inkstone.tasks.answer_windows import Said
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.example_batches import collate
from inkstone.tokens.learning import learn_tokenizer

CONTEXT = "The inkstone of Duan Xi is purple. The brush is of wolf hair."


def question(text="What is purple?", answer="The inkstone", start=0, context=CONTEXT, **more):
    answers = ((answer, start),) if answer else ()
    return Question("1", "", text, context, answers, **more)


def read(tmp_path, records, part="train", name="qa.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    understanding = Understanding(part, [str(path)])
    return ExtractAnswer().read([str(path)], understanding), understanding


def record(number, **more):
    answer = {"text": "purple", "answer_start": 27}
    return {
        "context": CONTEXT,
        "qas": [{"id": number, "question": f"What colour, {number}?", "answers": [answer], **more}],
    }


def test_doubtful_questions_are_named_and_nothing_is_lost_in_silence(tmp_path):
    records = [record(f"good {n}") for n in range(12)]
    records += [
        record("beside", answers=[{"text": "purple", "answer_start": 26}]),
        record("not there", answers=[{"text": "green", "answer_start": 5}]),
        record("one of two", answers=[{"text": "green", "answer_start": 5}, {"text": "purple", "answer_start": 27}]),
        record("blanks", answers=[{"text": " purple\n", "answer_start": 26}]),
        record("none", answers=[]),
        record("silent", answers=[], is_impossible=True),
        record("both", is_impossible=True),
        record("empty", question=" "),
        record("good 1"),  # the same id and question
        record("good 2", question="What is it?"),  # the same id
        {"context": " ", "qas": record("x")["qas"]},
        {"qas": record("y")["qas"]},
    ]
    found, understanding = read(tmp_path, records)
    named = {q.name: q for q in found}
    assert named["beside"].placed == named["good 1"].placed == named["blanks"].placed == (27, 33)
    assert named["one of two"].answers == (("green", -1), ("purple", 27)) and named["one of two"].placed == (27, 33)
    assert named["silent"].impossible and not named["silent"].answers
    assert len(found) == 17
    refused = {
        reason: [place.partition(".jsonl:")[2] for place in places] for reason, places in understanding.refused.items()
    }
    assert refused == {
        "an answer does not stand in its context": ["14 question not there"],
        "no answer, and is_impossible is not true": ["17 question none"],
        "is_impossible is true, but there are answers": ["19 question both"],
        "the question is empty": ["20 question empty"],
        "the same id and question once more": ["21 question good 1"],
        "the context is empty": ["23 question x"],
        "no context; there is only: id, question, answers, context": ["24 question y"],
    }
    mended = [place.partition(" question ")[2] for places in understanding.mended.values() for place in places]
    assert sorted(mended) == ["beside", "good 2", "one of two"]
    assert any("1 questions have no answer" in notice for notice in understanding.notices)


def test_an_answer_that_stands_nowhere_counts_in_figures_but_is_not_learned(tmp_path):
    records = [record(n) for n in range(3)] + [record("odd", answers=[{"text": "green", "answer_start": -1}])]
    found, understanding = read(tmp_path, records, part="test")
    assert found[-1].gold == ["green"] and found[-1].placed is None
    assert any("counts in the figures" in reason for reason in understanding.mended)
    tokenizer = learn_tokenizer([CONTEXT * 20], vocab_size=300)
    inputs = ExtractAnswer().encode(found, Frame.of(tokenizer, 64))
    assert inputs[0][0].target is not None and inputs[-1][0].target is None


def test_lone_surrogates_and_long_rows_do_not_move_an_answer(tmp_path):
    context = "x\udcff " + "ink and stone " * 4000 + "the end"
    start = len(context) - 3
    answers = [{"text": "end", "answer_start": start}]
    (one,), _ = read(tmp_path, [{"question": "What is last?", "context": context, "answers": answers}])
    assert len(one.context) == len(context) > 50_000 and one.placed == (start, start + 3)
    tokenizer = learn_tokenizer([context[3:5000]], vocab_size=300)
    inputs = ExtractAnswer().encode([one], Frame.of(tokenizer, 128))[0]
    held = [w for w in inputs if w.target[0] != len(w.ids) - 1]
    assert len(inputs) > 100 and held
    for window in held:
        first, last = window.target
        assert one.context[window.characters[first, 0] : window.characters[last, 1]] == "end"


def test_mostly_unusable_data_is_refused(tmp_path):
    with pytest.raises(TextError, match="rows that cannot be used: 3 rows left out: no answer"):
        read(tmp_path, [record(1)] + [record(f"none {n}", answers=[]) for n in range(3)])


class Fixed:
    """A model that gives these scores to whatever it is asked."""

    def __init__(self, scores):
        self.scores = scores

    def __call__(self, batch):
        return self.scores


def test_the_loss_is_the_mean_of_both_ends_among_the_context_and_the_closing_token():
    tokenizer = learn_tokenizer(["some words " * 20], vocab_size=300)
    inputs = ExtractAnswer().encode([question("q", "b", 2, context="a b c")], Frame.of(tokenizer, 64))[0]
    batch = collate(inputs)
    tokens = len(inputs[0].ids)
    allowed = [at for at, (a, b) in enumerate(inputs[0].characters) if b > a] + [tokens - 1]
    scores = torch.randn(1, tokens, 2, generator=torch.Generator().manual_seed(0))
    expected = 0.0
    for side in (0, 1):
        row = scores[0, :, side].tolist()
        total = sum(math.exp(row[at]) for at in allowed)
        expected -= math.log(math.exp(row[int(inputs[0].target[side])]) / total) / 2
    assert ExtractAnswer().loss(Fixed(scores), batch, torch.Generator()).item() == pytest.approx(expected, rel=1e-5)


def test_the_likeliest_window_answers_and_a_threshold_decides_whether_one_is_given():
    task, example = ExtractAnswer(), question()
    outputs = [Said(4, 12, -1.0, -0.8), Said(27, 33, -0.5, -2.0)]
    answer = task.answer(example, outputs)
    assert answer == {"text": "purple", "start": 27, "stop": 33, "confidence": pytest.approx(math.exp(-0.5))}
    silent = ExtractAnswer(unanswerable=True, threshold=-2.0)
    told = silent.answer(example, outputs)
    assert told["text"] == "" and told["start"] is None and told["no_answer"] == pytest.approx(-1.5)
    assert told["best"]["text"] == "purple"
    assert ExtractAnswer(unanswerable=True).answer(example, outputs)["text"] == "purple"
    assert task.answer(question(context="\n "), [Said(0, 0, -np.inf, 0.0)])["text"] == ""


def test_the_threshold_is_the_one_with_the_highest_f1_on_dev():
    task = ExtractAnswer(answer_rule="squad", unanswerable=True)
    examples = [
        question(answer="purple", start=27),
        question(answer=None, impossible=True),
        question(answer="green", start=-1),
    ]
    outputs = [[Said(27, 33, 0.0, strength)] for strength in (-3.0, -1.0, -0.5)]
    task.settle(examples, outputs)
    assert -3.0 <= task.threshold < -1.0
    measures = task.measures(examples, [task.answer(e, o) for e, o in zip(examples, outputs, strict=True)])
    assert measures["F1"].value == measures["exact match"].value == pytest.approx(2 / 3)
    assert measures["F1 where there is an answer"].value == 0.5 and measures["right where there is none"].value == 1


def test_chinese_answers_are_compared_by_characters_and_the_best_gold_counts():
    context = "端砚产于肇庆。"
    example = Question("1", "", "产于哪里？", context, (("于肇庆", 3), ("肇庆", 4)))
    task = ExtractAnswer()
    task.learn([example])
    assert task.answer_rule == "cmrc"
    measures = task.measures([example, example], [{"text": "肇庆"}, {"text": "产于肇庆"}])
    assert measures["exact match"].value == 0.5
    assert measures["F1"].value == pytest.approx((1 + 6 / 7) / 2)
    english = ExtractAnswer()
    english.learn([question()])
    assert english.answer_rule == "squad"


def test_settings_that_cannot_hold_are_refused():
    for settings in ({"answer_rule": "bleu"}, {"stride": 0}, {"scheme": "bio"}):
        with pytest.raises(RecipeError):
            ExtractAnswer.of(settings)
    with pytest.raises(TextError, match="nothing to learn"):
        ExtractAnswer().learn([question(answer="green", start=-1)])


PLACES = ("north", "south", "east", "west", "肇庆", "婺源", "临洮", "绛州")
FILLING = " Nothing is said of it here.\r\n"
MAKERS = ("Li", "Wang", "Zhao", "Qian", "Sun", "Zhou", "Wu", "Zheng")


def write_questions(path, number, seed, silent=False):
    """Paragraphs in which the name after "from" answers one question, and that after "made by" another."""
    draw = np.random.default_rng(seed)
    lines = []
    for at in range(number):
        place, maker = PLACES[draw.integers(8)], MAKERS[draw.integers(8)]
        before, after = ("", "") if silent else (FILLING * draw.integers(3), FILLING * draw.integers(3))
        context = f"{before}Stone {at} is black.\r\nIt came from {place} long ago, and it was made by {maker} in spring.{after}"
        qas = [
            {"id": f"{at}a", "question": f"from where came stone {at}?", "answers": [{"text": place, "answer_start": context.index(place + " long")}]},
            {"id": f"{at}b", "question": f"made by whom was stone {at}?", "answers": [{"text": maker, "answer_start": context.index(maker + " in")}]},
        ]  # fmt: skip
        if silent:
            qas[at % 2] = {"id": f"{at}c", "question": "sold for how much?", "answers": [], "is_impossible": True}
        lines.append(json.dumps({"title": str(at), "context": context, "qas": qas}, ensure_ascii=False))
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


SMALL = ["train.steps=160", "task.rows=16", "model.width=32", "model.n_layers=1", "tokenizer.vocab_size=400"]
SMALL += ["model.context=64", "train.learning_rate=0.006", "model.dropout=0.0", "task.dropout=0.0"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    outcome = tune(
        "answer",
        [write_questions(folder / "train.jsonl", 120, 0)],
        test=[write_questions(folder / "test.jsonl", 20, 1)],
        settings=SMALL,
        out=folder / "run",
        quiet=True,
    )
    return folder, outcome


def test_what_always_follows_a_word_is_learned_and_the_run_answers(tuned):
    folder, outcome = tuned
    assert outcome["figures"]["test"]["exact match"]["value"] > 0.8
    assert outcome["yardstick"]["name"] == "words alone" and "F1" in outcome["yardstick"]["figures"]["test"]
    assert eval(folder / "run", [folder / "test.jsonl"])["figures"] == outcome["figures"]["test"]
    facts = Run(folder / "run").facts()
    assert any("contexts" in notice for notice in facts["data"]["train"]["notices"])
    context = "Stone 7 is black.\r\nIt came from 肇庆 long ago, and it was made by Wu in spring."
    asked = {"question": "from where came stone 7?", "context": context}
    (answer,) = predict(folder / "run", [asked])
    assert (answer["text"], context[answer["start"] : answer["stop"]]) == ("肇庆", "肇庆")
    assert 0 < answer["confidence"] <= 1 and answer["input"] == asked
    text = folder / "about.txt"
    text.write_bytes(context.encode())
    both = predict(folder / "run", ["from where came stone 7?", "made by whom was stone 7?"], context=text)
    assert [each["text"] for each in both] == ["肇庆", "Wu"] and both[0]["input"] == "from where came stone 7?"
    assert both[0]["start"] == answer["start"]
    with pytest.raises(TextError, match="--context FILE"):
        predict(folder / "run", ["made by whom?"])


def test_a_file_of_paragraphs_is_asked_as_it_is_scored(tuned, tmp_path):
    folder, _ = tuned
    answers = predict(folder / "run", files=[folder / "test.jsonl"])
    examples = ExtractAnswer().read([str(folder / "test.jsonl")], Understanding("test", ["test.jsonl"]))
    assert [answer["input"]["id"] for answer in answers] == [example.name for example in examples]
    assert sum(a["text"] in e.gold for a, e in zip(answers, examples, strict=True)) > 0.8 * len(examples)
    whole = {
        "version": "1",
        "data": [{"paragraphs": [{"context": CONTEXT, "qas": [{"id": "q", "question": "What?"}]}]}],
    }
    (tmp_path / "squad.json").write_text(json.dumps(whole), encoding="utf-8")
    task = ExtractAnswer()
    assert task.inputs_of(tmp_path / "squad.json") == [{"id": "q", "question": "What?", "context": CONTEXT}]
    whole["data"][0]["paragraphs"][0]["qas"].append({"id": "r"})
    (tmp_path / "squad.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(TextError, match=r"squad.json:1 question r: no question"):
        task.inputs_of(tmp_path / "squad.json")
    (tmp_path / "flat.jsonl").write_text(json.dumps({"question": "What?", "context": CONTEXT}), encoding="utf-8")
    assert task.inputs_of(tmp_path / "flat.jsonl") is None and task.inputs_of(tmp_path / "lines.txt") is None


def test_neither_padding_nor_what_stands_beside_it_changes_an_answer(tuned):
    predictor = Predictor.load(tuned[0] / "run", "cpu")
    short = question("from where?", context="It came from south long ago.")
    long = question("from where?", context="It came from west long ago, made by Sun in spring. " * 30)
    alone, beside = predictor.answers([short])[0], predictor.answers([long, short, long])[1]
    assert alone["text"] == beside["text"]
    assert alone["confidence"] == pytest.approx(beside["confidence"], rel=1e-4)


class Pointing:
    """A model that knows from which character to which the answer stands, and that it is nowhere else."""

    def __init__(self, start, stop):
        self.start, self.stop = start, stop

    def __call__(self, batch):
        left, right = batch.characters[..., 0], batch.characters[..., 1]
        here = right > left
        first = here & (left <= self.start) & (right > self.start)
        last = here & (left < self.stop) & (right >= self.stop)
        # Of the tokens that share a character the outermost.
        first, last = first & (first.cumsum(1) == 1), last & (last.flip(1).cumsum(1).flip(1) == 1)
        scores = torch.stack([first, last], dim=-1).float() * 9
        scores[torch.arange(len(scores)), batch.valid.sum(1) - 1] = 5.0
        return scores


@pytest.mark.parametrize("answer", ["婺源", "Sun"])
def test_an_answer_behind_many_windows_is_found_where_it_stands(answer):
    context = FILLING * 40 + "It came from 婺源 long ago, made by Sun in spring." + FILLING * 5
    start = context.index(answer)
    frame = Frame.of(learn_tokenizer([context], vocab_size=320), 48)
    task, example = ExtractAnswer(), question("from where came it?", answer, start, context=context)
    (inputs,) = task.encode([example], frame)
    assert len(inputs) > 20
    pointing = Pointing(start, start + len(answer))
    found = task.answer(example, task.outputs(pointing, collate(inputs)))
    assert (found["text"], found["start"], found["stop"]) == (answer, start, start + len(answer))


@pytest.mark.slow
def test_questions_without_an_answer_are_learned_and_the_threshold_is_kept(tmp_path):
    data = write_questions(tmp_path / "train.jsonl", 120, 0, silent=True)
    test = write_questions(tmp_path / "test.jsonl", 20, 1, silent=True)
    outcome = tune(
        "answer", [data], test=[test], settings=[*SMALL, "train.steps=320"], out=tmp_path / "run", quiet=True
    )
    figures = outcome["figures"]["test"]
    assert figures["right where there is none"]["value"] > 0.8
    assert figures["F1 where there is an answer"]["value"] > 0.5
    kept = Predictor.load(tmp_path / "run", "cpu").task
    assert kept.unanswerable and kept.threshold != 0
    answer = predict(tmp_path / "run", [["sold for how much?", "It came from south long ago."]])[0]
    assert answer["text"] == "" and answer["start"] is None


def test_the_recipe_of_the_examples_runs(tmp_path):
    from pathlib import Path

    recipe = Path(__file__).parent.parent.parent / "examples" / "answer.toml"
    assert load_recipe(recipe).task.name == "answer"
    data = write_questions(tmp_path / "train.jsonl", 24, 0)
    small = ["train.steps=2", "task.rows=4", "model.width=32", "model.n_layers=1", "tokenizer.vocab_size=300"]
    outcome = tune("", [data], recipe=recipe, settings=small, out=tmp_path / "run", quiet=True)
    assert outcome["task"] == "answer" and outcome["steps"] == 2


@pytest.mark.data
@pytest.mark.parametrize(
    "name, questions, left_out, mended",
    [
        ("qa-drcd/DRCD_dev", 3524, 0, 0),
        ("qa-cmrc2018/cmrc2018_trial", 1000, 2, 5),  # two questions are empty, five offsets are wrong by one
        ("qa-cmrc2018/cmrc2018_dev", 3219, 0, 177),  # of most of these an answer is in no place of the context
    ],
)
def test_public_sets_are_read_and_what_is_doubtful_in_them_is_named(data_mirror, name, questions, left_out, mended):
    understanding = Understanding("dev", [str(data_mirror / f"{name}.json.xz")])
    found = ExtractAnswer().read(understanding.sources, understanding)
    assert len(found) == questions
    assert sum(map(len, understanding.refused.values())) == left_out
    assert sum(map(len, understanding.mended.values())) == mended
    for each in found:
        assert all(each.context[start : start + len(text)] == text for text, start in each.answers if start >= 0)


def test_faults_of_one_kind_are_counted_together(tmp_path):
    rows = [
        {
            "id": number % 3,
            "question": f"What is {number}?",
            "context": CONTEXT,
            "answer": "purple",
            "answer_start": start,
        }
        for number, start in enumerate([27, 27, 27, 27, 27, 27, "here", "there"])
    ]
    _, understood = read(tmp_path, rows)
    assert {reason: len(places) for reason, places in understood.refused.items()} == {
        "answer_start is no whole number": 2
    }
    assert [len(places) for reason, places in understood.mended.items() if "id is that" in reason] == [3]
