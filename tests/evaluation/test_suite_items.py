"""Items from lines of JSON: the four forms, the blank between context and continuation, and every mistake by its line."""

import json
import lzma

import pytest

from inkstone.errors import TextError
from inkstone.evaluation.suite_items import Item, item_of, joined, read_items


def write(path, *records) -> str:
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n", encoding="utf-8")
    return str(path)


def test_the_four_forms():
    pair = item_of({"sentence_good": "He sleeps.", "sentence_bad": "He sleep.", "UID": "agreement", "field": "syntax"})
    sentences = ("He sleeps.", "He sleep.")
    assert pair == Item("pairs", (("", sentences[0]), ("", sentences[1])), sentences, 0, "agreement", "syntax")
    choice = item_of({"query": "Ink is", "choices": ["black", "loud"], "gold": 0})
    assert choice == Item("choices", (("Ink is", " black"), ("Ink is", " loud")), ("black", "loud"), 0)
    context = item_of({"context_options": ["so the cup", "so the jug"], "continuation": "broke.", "gold": 1})
    assert context.options == (("so the cup", " broke."), ("so the jug", " broke.")) and context.gold == 1
    word = item_of({"text": "grind the ink stone"})
    assert word == Item("last word", (("grind the ink", " stone"),), ("stone",), 0)


@pytest.mark.parametrize(
    ("context", "continuation", "after"),
    [
        ("The ink", "dries", " dries"),
        ("The ink ", "dries", "dries"),
        ("The ink", " dries", " dries"),
        ("The ink", ".", "."),
        ("The ink", "'s colour", "'s colour"),
        ("She said", "'well'", " 'well'"),
        ("", "Ink", "Ink"),
        ("Question: what?\nAnswer:", "ink", " ink"),
        ("天空是", "蓝色的", "蓝色的"),
        ("他用了", "GPU", "GPU"),
        ("Beijing is 北京。", "A city", "A city"),
        ("He said", "“yes”", " “yes”"),
        ("한국어는", "언어다", " 언어다"),
    ],
)
def test_a_blank_stands_where_the_script_wants_one(context, continuation, after):
    assert joined(context, continuation) == (context, after)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"query": "a", "choices": ["b", "c"]}, "the keys"),
        ({"qeury": "a", "choices": ["b", "c"], "gold": 0}, "did you mean 'query'"),
        ({"query": "a", "choices": ["b", "c"], "gold": 2}, "'gold' is 2"),
        ({"query": "a", "choices": ["b", "c"], "gold": True}, "'gold' is True"),
        ({"query": "a", "choices": ["b", "c"], "gold": "0"}, "'gold' is '0'"),
        ({"query": "a", "choices": ["b"], "gold": 0}, "at least two"),
        ({"query": "a", "choices": "bc", "gold": 0}, "'choices' must be text"),
        ({"query": "a", "choices": ["b", 7], "gold": 0}, "'choices' must be text"),
        ({"query": "a", "choices": ["b", " "], "gold": 0}, "'choices' holds an empty text"),
        ({"sentence_good": "a", "sentence_bad": None}, "must be text"),
        ({"context_options": ["a", "b"], "continuation": "", "gold": 0}, "'continuation' holds an empty text"),
        ({"text": "word"}, "no word to be foreseen"),
        ({}, "this one none"),
    ],
)
def test_what_is_no_item_is_named_with_its_line(tmp_path, record, message):
    good = {"query": "a", "choices": ["b", "c"], "gold": 0}
    path = write(tmp_path / "items.jsonl", good, good, record)
    with pytest.raises(TextError, match=r"items\.jsonl:3: ") as found:
        read_items(path)
    assert message in str(found.value)


def test_a_file_holds_one_kind(tmp_path):
    path = write(tmp_path / "mixed.jsonl", {"query": "a", "choices": ["b", "c"], "gold": 0}, {"text": "two words"})
    with pytest.raises(TextError, match=r"mixed\.jsonl:2: an item of the kind 'last word' among 'choices'"):
        read_items(path)


def test_blank_lines_and_packed_files(tmp_path):
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress(b'\n{"text": "one two"}\n\n{"text": "three four"}\n'))
    assert [item.choices for item in read_items(str(tmp_path / "a.jsonl.xz"))] == [("two",), ("four",)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no items"),
        (b'{"text": ', r":1: no JSON"),
        (b"[1, 2]", r":1: a list"),
        (b'{"text": "\xff\xfe"}', "cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, message):
    (tmp_path / "bad.jsonl").write_bytes(content)
    with pytest.raises(TextError, match=rf"bad\.jsonl.*{message}"):
        read_items(str(tmp_path / "bad.jsonl"))


def test_a_damaged_archive_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "bad.xz").write_bytes(lzma.compress(b'{"text": "one two"}')[:-9])
    for name in ("bad.xz", "none.jsonl"):
        with pytest.raises(TextError, match=f"{name}: cannot be read"):
            read_items(str(tmp_path / name))


def test_a_record_that_is_not_the_suites_is_named(tmp_path):
    path = write(tmp_path / "odd.jsonl", {"question": "a"})
    with pytest.raises(TextError, match=r"odd\.jsonl:1: not a record of this suite: .*question"):
        read_items(path, lambda record: {"text": record["answer"]})
