"""Texts longer than the context, read in windows whose answers are joined."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from inference.decoders import byte_tokenizer, decoder
from inkstone.cli import main
from inkstone.errors import RunError
from inkstone.models.headed import Headed
from inkstone.tasks.classify import Classify
from inkstone.tasks.embed import Embed
from inkstone.tasks.framing import OVERLAP, Frame
from inkstone.tasks.labelled import Labelled
from inkstone.tasks.predict import Predictor
from inkstone.tasks.related_texts import Related
from inkstone.tasks.tag import Tag

CONTEXT = 24
LONG = "ink on stone, paper and a brush: " * 3


def predictor(task, **head):
    torch.manual_seed(0)
    model = Headed(decoder(), task.head())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Predictor(model.eval(), task, CONTEXT)


@given(st.integers(0, 200), st.integers(12, 60))
@settings(deadline=None, max_examples=60)
def test_each_token_is_new_in_one_window_and_windows_overlap(length, context):
    frame = Frame.of(byte_tokenizer(), context)
    ids = np.arange(length) % 200
    inside = [(row[len(frame.before) : len(row) - len(frame.after)], new) for row, new in frame.windows(ids)]
    assert all(len(row) <= context for row, _ in frame.windows(ids))
    assert np.array_equal(np.concatenate([window[len(window) - new :] for window, new in inside]), ids)
    for (one, _), (other, new) in itertools.pairwise(inside):
        shared = len(other) - new
        assert shared == int(OVERLAP * frame.room) and np.array_equal(one[-shared:], other[:shared])
    assert len(inside) == 1 or length > frame.room


@pytest.mark.parametrize("several", [False, True])
def test_the_label_of_a_long_text_is_told_by_all_of_its_windows(several):
    task = Classify(several=several)
    task.learn([Labelled("1", "a", None, ("good",)), Labelled("2", "b", None, ("bad",))])
    asking = predictor(task)
    long, short = Labelled("1", LONG, None), Labelled("2", "ink", None)
    cut = asking.answers([long, short])
    assert asking.cut == ["1"]
    asking.read_long("split")
    split = asking.answers([long, short])
    assert asking.cut == [] and split[1]["probabilities"] == pytest.approx(cut[1]["probabilities"], abs=1e-5)
    assert split[0]["probabilities"] != cut[0]["probabilities"]
    # By hand: each window asked by itself, their log-probabilities weighted by new tokens.
    windows = asking.frame.windows(byte_tokenizer().encode(LONG))
    logs = []
    for row, _ in windows:
        text = byte_tokenizer().decode(row)
        own = asking.answers([Labelled("w", text, None)])[0]["probabilities"]
        p = np.array(list(own.values()))
        logs.append(np.log(p / (1 - p)) if several else np.log(p))
    joined = np.average(logs, axis=0, weights=[new for _, new in windows])
    expected = 1 / (1 + np.exp(-joined)) if several else np.exp(joined) / np.exp(joined).sum()
    assert list(split[0]["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_vector_of_a_long_text_is_the_mean_of_its_windows():
    asking = predictor(Embed())
    asking.read_long("split")
    (answer,) = asking.answers([Related("1", (LONG, "ink", LONG[5:]))])
    assert asking.cut == []
    for text, vector in zip((LONG, "ink", LONG[5:]), answer["vectors"], strict=True):
        windows = asking.frame.windows(byte_tokenizer().encode(text))
        own = [asking.answers([Related("w", (byte_tokenizer().decode(row),))])[0]["vector"] for row, _ in windows]
        mean = np.average(own, axis=0, weights=[new for _, new in windows])
        assert vector == pytest.approx((mean / np.linalg.norm(mean)).tolist(), abs=1e-3)
    asking.read_long("cut")
    (cut,) = asking.answers([Related("1", (LONG, "ink"))])
    assert asking.cut == ["1"] and cut["vectors"][0] != answer["vectors"][0]


def test_other_words_and_other_tasks_are_refused():
    asking = predictor(Embed())
    with pytest.raises(RunError, match="long = 'whole'"):
        asking.read_long("whole")
    tagging = Predictor(asking.model, Tag(), CONTEXT)
    with pytest.raises(RunError, match="the task tag has no windows"):
        tagging.read_long("split")
    tagging.read_long("cut")


def write_run(folder: Path) -> None:
    """A run that was tuned to classify."""
    from inkstone.hub.headed_layout import save_headed

    task = Classify()
    task.learn([Labelled("1", "a", None, ("good",)), Labelled("2", "b", None, ("bad",))])
    save_headed(predictor(task).model, folder, {"name": "classify", "context": CONTEXT, **task.to_dict()})


def test_the_name_of_a_file_stands_for_what_is_in_it(tmp_path, capsys):
    write_run(tmp_path / "run")
    letter = tmp_path / "letter.txt"
    letter.write_text("ink on stone\n\nink on paper\n", encoding="utf-8")
    for words in ([str(letter), "ink"], ["ink", "--file", str(letter)]):
        assert main(["predict", str(tmp_path / "run"), *words, "--json"]) == 0
        told = capsys.readouterr()
        assert [each["input"] for each in json.loads(told.out)["answers"]] == ["ink", "ink on stone", "ink on paper"]
        assert (f"{letter} is a file" in told.err) == (words[0] == str(letter))
    assert main(["predict", str(tmp_path / "run"), "letter.txt", str(tmp_path), "a" * 5000, "--json"]) == 0
    told = capsys.readouterr()
    assert [each["input"] for each in json.loads(told.out)["answers"]] == ["letter.txt", str(tmp_path), "a" * 5000]
    assert "is a file" not in told.err


def test_the_command_reads_long_texts_to_the_end(tmp_path, capsys):
    write_run(tmp_path / "run")
    assert main(["predict", str(tmp_path / "run"), LONG]) == 0
    told = capsys.readouterr()
    assert "the end was left out" in told.err and "--long split" in told.err
    assert main(["predict", str(tmp_path / "run"), LONG, "--long", "split"]) == 0
    split = capsys.readouterr()
    assert "left out" not in split.err and split.out != told.out
