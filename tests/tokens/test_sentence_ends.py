"""Where sentences end, told from tokens: against a plain loop, in parts as at once, and in words a reader can judge."""

import itertools

import pytest
import torch
from hypothesis import given, strategies as st

from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.sentence_ends import DOCUMENT, ENDS, HOLDS, STOP, marks_of, openings

TEXTS = ['Mr. Ink has 3.5 stones. Has he? "Yes." U.S. paper!\nNo, e.g. rice', "砚台在桌上。\n墨呢？\n“在。”\n好！"]
KINDS = ["byte-bpe", "unigram", "word", "character"]


def cut(text: str, kind: str, unit) -> list[str]:
    tokenizer = learn_tokenizer(iter(TEXTS * 20), kind, 400)
    ids = tokenizer.encode(text)
    opens, _ = openings(torch.tensor([ids]), marks_of(tokenizer, unit, tokenizer.vocab_size))
    starts = [0, *(opens[0, :-1].nonzero()[:, 0] + 1).tolist(), len(ids)]
    return [tokenizer.decode(ids[a:b]) for a, b in itertools.pairwise(starts)]


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_of_two_languages(kind):
    found = cut("Mr. Ink has 3.5 stones. Has he? No!\nrice", kind, "sentence")
    assert [sentence.strip() for sentence in found if sentence.strip()][-3:] == ["Has he?", "No!", "rice"]
    if kind != "character":  # letters one by one: "Mr" cannot be told from the end of a word
        assert found[0].strip() == "Mr. Ink has 3.5 stones."
    found = cut("砚台在桌上。墨呢？好！", kind, "sentence")
    assert found == ["砚台在桌上。", "墨呢？", "好！"]


@pytest.mark.parametrize("kind", KINDS)
def test_lines_and_windows(kind):
    text = "Has he? Yes.\nrice. paper"
    lines = cut(text, kind, "line")
    assert "".join(lines) == text and [line.strip() for line in lines] == ["Has he? Yes.", "rice. paper"]
    assert cut(text, kind, "window") == [text]


def by_loop(marks: list[int]) -> list[bool]:
    found, before, ended = [], 0, False
    for mark in marks:
        ends = bool(mark & ENDS) and not (mark & STOP and before & HOLDS)
        found.append(bool(mark & DOCUMENT) or (ends and not ended))
        before, ended = mark, ends
    return found


@given(st.lists(st.sampled_from([0, ENDS, ENDS | STOP, HOLDS, ENDS | DOCUMENT]), min_size=1, max_size=30), st.data())
def test_openings_are_those_of_the_loop_however_they_are_read(marks, data):
    table = torch.tensor(marks, dtype=torch.uint8)
    ids = torch.arange(len(marks))[None]
    before, parts = None, []
    while ids.shape[1]:
        size = data.draw(st.integers(1, ids.shape[1]))
        opens, before = openings(ids[:, :size], table, before)
        parts += opens[0].tolist()
        ids = ids[:, size:]
    assert parts == by_loop(marks)
