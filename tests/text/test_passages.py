"""Passages are stretches of their files: nothing is lost, none is too long, and each says the line on which it begins."""

import json

import pytest
from hypothesis import given, strategies as st

from inkstone.text.document import documents
from inkstone.text.passages import DENSE, is_text, passages_of, stretches
from inkstone.text.reading import read


@given(st.text(st.sampled_from('ab.!?。，！\n\r\t ”"砚端')), st.integers(3, 40))
def test_passages_hold_all_that_is_no_blank_in_order_and_none_is_too_long(text, size):
    found = stretches(text, size)
    assert "".join("".join(text[a:b].split()) for a, b in found) == "".join(text.split())
    end = 0
    for start, stop in found:
        assert end <= start < stop
        assert text[start:stop] == text[start:stop].strip()
        dense = sum("\u4e00" <= c <= "\u9fff" for c in text[start:stop])
        assert stop - start + (DENSE - 1) * dense <= size
        end = stop


def test_short_paragraphs_go_together_and_long_ones_are_cut_between_sentences():
    text = "One.\n\nTwo.\n\n" + "This sentence has six words here. " * 4 + "\n\n最后一段。"
    parts = [text[a:b] for a, b in stretches(text, 80)]
    assert parts[0].startswith("One.\n\nTwo.\n\nThis")
    assert all(part.endswith((".", "。")) for part in parts)
    assert len(parts) == 3


def passages(tmp_path, name, content, size=30):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    return [p for frame in read([tmp_path / name]) for p in passages_of(frame, {}, size)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_passage_says_the_line_it_begins_on(tmp_path, end):
    lines = ["", "first paragraph of the text", "", "", "second one, a bit longer,", "over two lines", "", "砚台"]
    found = passages(tmp_path, "a.txt", end.join(lines))
    assert [p.line for p in found] == [2, 5, 6]
    assert found[1].place == f"{tmp_path / 'a.txt'}:5" and found[2].text == f"over two lines{end}{end}砚台"
    assert found[2].place_of(found[2].text.index("砚")) == f"{tmp_path / 'a.txt'}:8"


def test_lines_go_on_over_the_pieces_of_a_huge_file():
    lines = {}
    one = list(passages_of(documents(["a b\nc\n"], "huge.txt"), lines, 3))
    two = list(passages_of(documents(["d\ne f\n"], "huge.txt"), lines, 3))
    assert [p.line for p in one + two] == [1, 2, 3, 4] and [p.text for p in two] == ["d", "e f"]


def test_records_are_named_by_their_number(tmp_path):
    rows = [{"text": "a first record with some words"}, {"text": "a second\none"}]
    found = passages(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)), 12)
    assert [p.place.partition("a.jsonl")[2] for p in found] == ["#1:1", "#1:1", "#1:1", "#2:1"]
    assert found[-1].place_of(found[-1].text.index("one")).endswith("a.jsonl#2:2")


def test_which_files_have_lines():
    names = {
        "a.txt": True,
        "b.md": True,
        "LICENSE": True,
        "c.jsonl.gz": False,
        "d.zip!e/f.html": False,
        "x.tar.gz!g.txt.xz": True,
    }
    assert {name: is_text(name) for name in names} == names
