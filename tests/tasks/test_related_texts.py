"""Files of texts to learn vectors from: every form is told from its columns, and what cannot be used is named."""

import json

import pytest

from inkstone.errors import TextError
from inkstone.tasks.related_texts import Columns, Related, halves, read_related
from inkstone.tasks.understanding import Understanding


def read(tmp_path, name, content, **columns):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else "\n".join(map(json.dumps, content)), encoding="utf-8")
    understanding = Understanding("train", [str(path)])
    form, rows = read_related([str(path)], Columns(**columns), understanding)
    return form, [(row.texts, row.score) for row in rows], understanding


def test_the_form_follows_from_the_columns(tmp_path):
    forms = {
        "a.jsonl": ([{"query": "q", "positive": "p", "negative": "n"}], "triple", (("q", "p", "n"), None)),
        "b.jsonl": ([{"sentence1": "a", "sentence2": "b", "score": 2.5}], "scored", (("a", "b"), 2.5)),
        "c.jsonl": ([{"question": "q", "passage": "p", "id": 1}], "pair", (("q", "p"), None)),
        "d.jsonl": ([{"text": "one text"}], "line", (("one text",), None)),
        "e.csv": ("one text,other,3.5\nsecond text,another,1\n", "scored", (("one text", "other"), 3.5)),
        "f.tsv": ("Hi.\t嗨。\nRun!\t跑！\n", "pair", (("Hi.", "嗨。"), None)),
        "g.txt": ("First line.\nSecond line.\n", "line", (("First line.",), None)),
        "h.tsv": ("query\tpositive\nwhat?\tthat\n", "pair", (("what?", "that"), None)),
        "i.jsonl": ([{"context": "A stone.", "qas": [{"id": "1", "question": "What?", "answers": [{"text": "stone", "answer_start": 2}]}]}], "pair", (("What?", "A stone."), None)),
    }  # fmt: skip
    for name, (content, form, first) in forms.items():
        found, rows, _ = read(tmp_path, name, content)
        assert (found, rows[0]) == (form, first), name


def test_a_table_without_a_head_keeps_its_first_row(tmp_path):
    _, rows, _ = read(tmp_path, "cmn.tsv", "Hi.\t嗨。\nRun!\t跑！\n")
    assert [texts for texts, _ in rows] == [("Hi.", "嗨。"), ("Run!", "跑！")]


def test_columns_can_be_named_and_a_wrong_name_is_said(tmp_path):
    rows = [{"en": "a b", "zh": "甲", "de": "x y", "n": "1"}]
    with pytest.raises(TextError, match="which columns hold the texts"):
        read(tmp_path, "a.jsonl", rows)
    form, found, _ = read(tmp_path, "a.jsonl", rows, first="de", second="zh")
    assert (form, found) == ("pair", [(("x y", "甲"), None)])
    with pytest.raises(TextError, match=r"task.second_column = 'hz'.*en, zh, de, n"):
        read(tmp_path, "a.jsonl", rows, first="de", second="hz")


def test_rows_that_cannot_be_used_are_named(tmp_path):
    rows = [
        {"text1": "a", "text2": "b", "score": 1},
        {"text1": "a", "text2": "c", "score": "high"},
        {"text1": "", "text2": "c", "score": 1},
        {"text1": "a", "text2": "b", "score": 1},
        {"text1": "a", "text2": "b", "score": 3},
        {"text1": "a", "text2": "d", "score": "nan"},
    ]
    _, found, understanding = read(tmp_path, "a.jsonl", rows)
    assert found == [(("a", "b"), 1.0), (("a", "b"), 3.0)]
    refused = {reason: [p.rpartition(":")[2] for p in places] for reason, places in understanding.refused.items()}
    assert refused == {
        "a score that is no number, such as 'high'": ["2"],
        "one of its texts is empty": ["3"],
        "the same as an earlier row": ["4"],
        "a score that is no number, such as 'nan'": ["6"],
    }
    assert list(understanding.mended) == ["the same texts have another score elsewhere; both are kept"]


def test_pairs_and_triples_of_the_same_text_teach_nothing(tmp_path):
    rows = [{"anchor": "a", "positive": "a", "negative": "b"}, {"anchor": "a", "positive": "b", "negative": "b"}]
    _, found, understanding = read(tmp_path, "a.jsonl", rows)
    assert not found and len(understanding.refused) == 2


def test_questions_without_an_answer_are_no_pairs(tmp_path):
    qas = [{"question": "Who?", "answers": [], "is_impossible": True}, {"question": " ", "answers": []}]
    _, found, understanding = read(tmp_path, "a.jsonl", [{"context": "A stone.", "qas": qas}])
    assert not found and sum(map(len, understanding.refused.values())) == 1


@pytest.mark.parametrize("text", ["a stone for ink", "端砚产于肇庆", "a", "", " x", "a" * 50_000, "long" * 9 + " x"])
def test_halves_are_the_text_in_two_or_itself(text):
    first, second = halves(text)
    assert (first, second) == (text, text) or "".join((first + second).split()) == "".join(text.split())


def test_a_text_that_stands_alone_asks_with_its_first_half():
    row = Related("1", ("a stone for ink",), alone=True)
    assert row.encoded_texts == ("a stone for ink", "a stone", "for ink") and row.asked_and_wanted == (
        "a stone",
        "for ink",
    )
    assert Related("1", ("a", "b", "c")).asked_and_wanted == ("a", "b")
