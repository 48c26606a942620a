"""Tagging from the command to the answer, with the recipe of the examples; the same bit for bit after an interruption."""

import json
from pathlib import Path

import numpy as np
import pytest

from inkstone import eval, predict, tune
from inkstone.cli import main
from inkstone.errors import Interrupted
from inkstone.run import Run
from inkstone.text.conllu import read_conllu
from inkstone.training.loop import Loop

RECIPE = Path(__file__).parents[2] / "examples" / "tag.toml"
SMALL = ["train.steps=80", "task.rows=8", "model.width=32", "model.n_layers=1", "train.learning_rate=0.02"]


def write_names(path, number, seed):
    """The word before a name says what it is; the names are made of any letters."""
    draw = np.random.default_rng(seed)
    blocks = []
    for _ in range(number):
        first, last, place = ("".join(draw.choice(list("abcdefg"), 4)).title() for _ in range(3))
        rows = [
            ("Mr", "O"),
            (first, "B-PER"),
            (last, "I-PER"),
            ("lives", "O"),
            ("in", "O"),
            (place, "B-LOC"),
            (".", "O"),
        ]
        rows = rows[3:] if draw.random() < 0.3 else rows
        blocks.append("\n".join(f"{word}\t{tag}" for word, tag in rows))
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return str(path)


def test_names_from_the_command_to_the_answer(tmp_path, capsys):
    train, test = write_names(tmp_path / "train.conll", 80, 0), write_names(tmp_path / "test.conll", 30, 1)
    run = str(tmp_path / "run")
    settings = [word for setting in SMALL for word in ("--set", setting)]
    assert main(["tune", "tag", train, "--test", test, "--recipe", str(RECIPE), "--out", run, *settings, "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["figures"]["test"]["span F1"]["value"] > 0.9
    assert outcome["yardstick"]["name"] == "CRF over feature templates"
    assert Run(run).recipe().tokenizer.kind == "character" and Run(run).recipe().model.family == "word_reader"
    assert (tmp_path / "run" / "errors.html").stat().st_size > 1000
    assert (
        0 <= Run(run).facts()["evaluation"]["details"]["test"]["features_share"] <= 1
    )  # the recipe asks a CRF as well
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert (
        "the CRF over feature templates in `features`, asked together" in card and "`features` 里的特征模板 CRF" in card
    )

    text = "Mr  Abcd Gfed lives in Cafe."
    assert main(["predict", run, text, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert answer["tokens"] == ["Mr", "Abcd", "Gfed", "lives", "in", "Cafe", "."]
    assert [(text[s["start"] : s["end"]], s["label"]) for s in answer["spans"]] == [
        ("Abcd Gfed", "PER"),
        ("Cafe", "LOC"),
    ]

    out = str(tmp_path / "out.conllu")
    assert main(["predict", run, "--file", test, "--out", out]) == 0
    capsys.readouterr()
    assert next(s.forms for s in read_conllu(out))[-1] == "." and "NER=" in Path(out).read_text(encoding="utf-8")
    assert main(["predict", run, text]) == 0
    assert "Cafe/B-LOC ./O" in capsys.readouterr().out

    assert eval(run, [test])["figures"] == outcome["figures"]["test"]


def test_words_of_chinese_from_segmented_lines(tmp_path, capsys):
    draw = np.random.default_rng(0)
    words = ["我", "爱", "北京", "天安门", "大学", "在"]
    lines = [" ".join(draw.choice(words, 6)) for _ in range(60)]
    (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    settings = [*SMALL, "task.segment=true"]
    outcome = tune("tag", [str(tmp_path / "train.txt")], settings=settings, out=tmp_path / "run", quiet=True)
    assert outcome["figures"]["dev"]["word F1"]["value"] > 0.9 and outcome["score"] == "word F1"
    answers = predict(tmp_path / "run", ["我在北京 大学", ""])
    assert answers[0]["words"] == ["我", "在", "北京", "大学"] and answers[0]["offsets"][-1] == [5, 7]
    assert answers[1]["words"] == []
    assert main(["predict", str(tmp_path / "run"), "我爱北京"]) == 0
    assert capsys.readouterr().out.strip() == "我 爱 北京"


@pytest.mark.slow
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    data = write_names(tmp_path / "train.conll", 40, 0)
    settings = [*SMALL, "train.steps=20"]
    tune("tag", [data], settings=settings, out=tmp_path / "whole", quiet=True)
    step = Loop.step

    def stopping(loop, factor):
        loop.interruption.requested = loop.position.step == 12
        return step(loop, factor)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Loop, "step", stopping)
        tune("tag", [data], settings=settings, out=tmp_path / "broken", quiet=True)
    tune(resume=tmp_path / "broken", quiet=True)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_other_bodies_read_words_as_tokens_in_windows(tmp_path, family):
    data = write_names(tmp_path / "train.conll", 40, 0)
    settings = [
        "train.steps=4",
        "task.rows=8",
        "model.width=32",
        "model.n_layers=1",
        "model.context=16",
        "tokenizer.vocab_size=300",
    ]
    tune("tag", [data], family=family, settings=settings, out=tmp_path / "run", quiet=True)
    assert Run(tmp_path / "run").recipe().tokenizer.kind == "byte-bpe"
    text = "Mr Abcd lives in Cafe and in many other places that make this long. " * 3
    (answer,) = predict(tmp_path / "run", [text])
    assert [text[a:b] for a, b in answer["offsets"]] == answer["tokens"] and len(answer["tags"]) == 45


@pytest.mark.slow
def test_word_vectors_are_known_before_the_first_step(tmp_path):
    words = ["lives", "in", "unheard", "Mr"]
    rows = np.random.default_rng(0).normal(size=(4, 5))
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, rows, strict=True)]
    (tmp_path / "v.txt").write_text("4 5\n" + "\n".join(lines) + "\n")
    data = write_names(tmp_path / "train.conll", 40, 0)
    settings = [*SMALL, "train.steps=2", f"train.vectors={tmp_path / 'v.txt'}"]
    tune("tag", [data], settings=settings, out=tmp_path / "run", quiet=True)
    choices = {each["name"]: each["value"] for each in Run(tmp_path / "run").facts()["plan"]["choices"]}
    assert "the vectors of 4" in choices["vocabulary"]
