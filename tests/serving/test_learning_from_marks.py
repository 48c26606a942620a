"""A model learns from the marks of its users: from the store or a file of pairs to a new run that is better on marks it has not seen."""

import json

import numpy as np
import pytest

from inference.decoders import byte_tokenizer, decoder
from inkstone.cli import main
from inkstone.errors import InkstoneError, RecipeError, RunError, TextError
from inkstone.hub.folder import load, save
from inkstone.inference.conversation import chat
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.serving.feedback import FeedbackStore
from inkstone.serving.learning_from_marks import (
    LEAST,
    PARTS,
    adapt,
    figures_of_pairs,
    learnable_in,
    lesson_of,
    regenerated,
)
from inkstone.serving.marks import Learnable, Mark, checked
from inkstone.tasks.prefer import Weighed
from inkstone.tokens.chat_template import ChatTemplate
from tasks.conversations import COLOURS, THINGS

QUICK = ["train.threads=1", "train.device=cpu", "train.learning_rate=0.003", "task.rows=16"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model with a chat template that has learned nothing."""
    folder = tmp_path_factory.mktemp("runs") / "base"
    model = decoder(vocab_size=byte_tokenizer().vocab_size, n_layers=1, context=128)
    save(model, folder, ChatTemplate.chatml(byte_tokenizer()))
    return folder


def question(number):
    return [{"role": "user", "content": f"{COLOURS[number % 4]} {THINGS[number % 5]} {number}?"}]


def marked(path, *kinds, number=60):
    """A store in which short answers are good and long ones bad; the questions take the kinds of marks in turn."""
    store = FeedbackStore(path)
    for each in range(number):
        thing, colour = THINGS[each % 5], COLOURS[each % 4]
        for kind in kinds[each % len(kinds)].split():
            long, short = f"{thing}, {colour}!", f"{thing}."
            answer, other = {"up": (short, None), "down": (long, None), "better": (short, long)}[kind]
            store.add(checked(kind, question(each), answer, other, model="base"))
    return path


def test_it_learns_what_people_preferred(base, tmp_path):
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    file = marked(tmp_path / "feedback.sqlite", "better", "up down")
    outcome = adapt(base, marks=file, out=tmp_path / "new", settings=[*QUICK, "train.steps=20"], quiet=True)
    kept = outcome["kept_aside"]
    assert kept["reward accuracy"]["after"] > 0.9 and kept["margin"]["after"] > 0.05
    assert kept["answer loss"]["after"] < kept["answer loss"]["before"]
    assert outcome["examples"] == {"train": 42, "dev": 6, "test": 12} and outcome["marks"]["pairs"] == 60
    assert outcome["figures"]["test"]["margin"]["value"] == pytest.approx(kept["margin"]["after"])
    assert Run(tmp_path / "new").facts()["adapted"]["kept_aside"] == kept
    assert load(tmp_path / "new").family == "decoder" and isinstance(chat(tmp_path / "new").answer("red ink?"), str)
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    parts = [
        {json.loads(line)["prompt"][0]["content"] for line in file.read_text().splitlines()}
        for file in sorted((tmp_path / f"new{PARTS}").glob("*.jsonl"))
    ]
    assert len(parts) == 3 and not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_a_run_that_was_stopped_is_gone_on_with(base, tmp_path, tiny_run, monkeypatch):
    class Stopped(Exception):
        pass

    def stopped(*arguments, **named):
        raise Stopped

    file = marked(tmp_path / "feedback.sqlite", "better")
    monkeypatch.setattr("inkstone.training.tuning_run.record_outcome", stopped)
    with pytest.raises(Stopped):
        adapt(base, marks=file, out=tmp_path / "new", settings=[*QUICK, "train.steps=3"], quiet=True)
    monkeypatch.undo()
    file.unlink()
    outcome = adapt(resume=tmp_path / "new", quiet=True)
    assert outcome["kept_aside"]["margin"]["after"] != 0 and outcome["marks"]["pairs"] == 60
    assert Run(tmp_path / "new").facts()["adapted"]["from"] == str(base)
    with pytest.raises(RecipeError, match="no settings beside it"):
        adapt(base, resume=tmp_path / "new")
    with pytest.raises(RunError, match="no run of `inkstone adapt`"):
        adapt(resume=tiny_run)


def test_good_answers_alone_are_learned_as_conversations(base, tmp_path):
    file = marked(tmp_path / "feedback.sqlite", "up")
    outcome = adapt(base, marks=file, out=tmp_path / "new", settings=[*QUICK, "train.steps=6"], quiet=True)
    loss = outcome["kept_aside"]["answer loss"]
    assert outcome["task"] == "chat" and loss["after"] < loss["before"]


def test_the_command_shows_before_and_after(base, tmp_path, capsys):
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": question(n), "chosen": f"{n}.", "rejected": f"No, {n}!"} for n in range(40)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["adapt", str(base), "--from", str(pairs), "--out", str(tmp_path / "new")]
    for setting in [*QUICK, "train.steps=3"]:
        words += ["--set", setting]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "8 pairs kept aside" in told and "before" in told and "reward accuracy" in told and "50.0 %" in told
    assert f"inkstone serve {tmp_path / 'new'}" in told


def test_too_few_marks_are_refused_with_how_many_are_needed(base, tmp_path, capsys):
    file = marked(tmp_path / "feedback.sqlite", "better", number=LEAST - 1)
    assert main(["adapt", str(base), "--from", str(file), "--out", str(tmp_path / "new")]) == 2
    assert f"{LEAST - 1} pairs" in (told := capsys.readouterr().err) and f"needed are {LEAST}" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feedback.sqlite"]
    same = FeedbackStore(tmp_path / "same.sqlite")
    for number in range(LEAST + 5):
        same.add(checked("better", question(0), f"{number}.", "no"))
    with pytest.raises(TextError, match="to 1 questions"):
        adapt(base, marks=same.path, out=tmp_path / "new", quiet=True)
    downs = marked(tmp_path / "downs.sqlite", "down")
    with pytest.raises(TextError, match="60 marks have no counterpart, and --regenerate"):
        adapt(base, marks=downs, out=tmp_path / "new", quiet=True)


def test_what_cannot_learn_from_marks_is_refused(base, tmp_path, tiny_run):
    file = marked(tmp_path / "feedback.sqlite", "better", number=1)
    with pytest.raises(RunError, match=r"has no chat template.*inkstone tune chat"):
        adapt(tiny_run, marks=file, quiet=True)
    with pytest.raises(TextError, match="no marks are there"):
        adapt(base, quiet=True)
    (tmp_path / "other.jsonl").write_text('{"text": "ink"}\n')
    with pytest.raises(
        TextError, match=r"nor a file of pairs; 1 row left out: .*there is only: text \(.*other\.jsonl:1\)$"
    ):
        learnable_in(tmp_path / "other.jsonl")


def test_nothing_is_left_of_a_call_that_could_not_begin(base, tmp_path):
    file = marked(tmp_path / "feedback.sqlite", "better")
    with pytest.raises(Exception, match="nothing is left of"):
        adapt(base, marks=file, out=tmp_path / "new", minutes=1e-4, settings=QUICK, quiet=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feedback.sqlite"]


@pytest.mark.parametrize(("fresh", "told"), [(False, "already holds a run"), (True, "nothing is left of")])
def test_a_run_keeps_what_it_learned_from_where_another_cannot_take_its_place(base, tmp_path, fresh, told):
    run = Run.create(tmp_path / "new", Recipe())
    parts = tmp_path / f"new{PARTS}"
    parts.mkdir()
    (parts / "learn.jsonl").write_text("what it learned from")
    file = marked(tmp_path / "feedback.sqlite", "better")
    with pytest.raises(InkstoneError, match=told):
        adapt(base, marks=file, out=run.folder, minutes=1e-4, settings=QUICK, fresh=fresh, quiet=True)
    assert [path.name for path in parts.iterdir()] == ["learn.jsonl"] and run.recipe_path.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feedback.sqlite", "new", f"new{PARTS}"]


def test_marks_without_a_counterpart_get_one_from_the_model(base):
    model = load(base)
    template = ChatTemplate.of(base, model.tokenizer)
    up, down = checked("up", question(1), "good"), checked("down", question(2), "bad")
    found = regenerated(Learnable(ups=[up], downs=[down]), model, template, LiveLine(quiet=True))
    (first, second) = found.pairs
    assert first.chosen == "good" and second.rejected == "bad" and first.rejected and second.chosen
    assert first.rejected != "good" and first.messages == up.messages


def test_figures_are_their_formulas():
    told = [
        Weighed(None, (-4.0, -8.0), (-6.0, -5.0), (4, 4)),  # rewards 1 and −1.5; before the other was likelier
        Weighed(None, (-9.0, -2.0), (-8.0, -6.0), (2, 4)),  # rewards −0.5 and 2
    ]
    found = figures_of_pairs(told, 0.5)
    assert found["reward accuracy"] == {"before": 0.5, "after": 0.5}
    assert found["margin"] == {"before": 0.0, "after": pytest.approx(np.mean([2.5, -2.5]))}
    assert found["likelier"] == {"before": 0.0, "after": 0.5}
    assert found["answer loss"] == {"before": pytest.approx(14 / 6), "after": pytest.approx(13 / 6)}


def test_a_lesson_of_both_prefers_pairs(tmp_path):
    marks = [Mark("up", tuple(question(n)), "a") for n in range(40)]
    few = Learnable(ups=marks)
    assert lesson_of(few, tmp_path).task == "chat"
    file = marked(tmp_path / "feedback.sqlite", "better", number=30)
    many = learnable_in(file)
    many.ups = marks
    lesson = lesson_of(many, file)
    assert lesson.task == "prefer" and len(lesson.records) == 30 and lesson.told["good answers alone"] == 40
