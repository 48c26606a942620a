"""A text on its way to a translation and back: lines, sentences, placeholders, tokens."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.tasks.translation_text import (
    MASKS,
    ids_of,
    lost,
    mask_ids,
    piece_of,
    pieces_of,
    put_together,
    restored,
    text_of,
)
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.learning import learn_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return with_tokens(learn_tokenizer(["The ink is ground. 墨在砚上磨。 <ph1>"] * 4, "byte-bpe", 300), MASKS)[0]


def asked(lines):
    return [piece.text for line in lines for piece in line if piece.asked]


def test_lines_stay_and_sentences_are_asked_one_by_one():
    text = "  One here. Two there!\r\n\n\tThree?\n42\n"
    lines = pieces_of(text, "en", True)
    assert asked(lines) == ["One here.", "Two there!", "Three?"]
    assert put_together(lines, ["Eins.", "Zwei!", "Drei?"], "de") == "  Eins. Zwei!\r\n\n\tDrei?\n42\n"
    assert put_together(lines, ["一。", "二！", "三？"], "zh") == "  一。二！\r\n\n\t三？\n42\n"


def test_chinese_sentences_get_blanks_between_them_in_english():
    lines = pieces_of("他来了。我走了。", "zh", True)
    assert asked(lines) == ["他来了。", "我走了。"]
    assert put_together(lines, ["He came.", "I left."], "en") == "He came. I left."


def test_short_sentences_may_go_together():
    assert asked(pieces_of("One. Two. A third one.", "en", True, together=10)) == ["One. Two.", "A third one."]
    assert asked(pieces_of("一。二。三。", "zh", True, together=4)) == ["一。二。", "三。"]


@given(st.text(alphabet="Ab. \n\t\r!{x}9。墨", max_size=30))
def test_what_is_translated_into_itself_is_the_text_but_for_blanks_between_sentences(text):
    lines = pieces_of(text, "en", True)
    again = put_together(lines, asked(lines), "en")
    assert again.split() == text.split() or "".join(again.split()) == "".join(text.split())
    assert again.count("\n") == text.count("\n")
    assert [line[: len(line) - len(line.lstrip())] for line in again.split("\n") if line.strip()] == [
        line[: len(line) - len(line.lstrip())] for line in text.split("\n") if line.strip()
    ]


def test_placeholders_are_tokens_and_come_back(tokenizer):
    piece = piece_of("Ink {name} costs 250 of {name}.", True)
    (ids,) = ids_of([piece], tokenizer)
    masks = mask_ids(tokenizer)
    assert [number for number in ids.tolist() if number in masks] == [masks[0], masks[1], masks[0]]
    told = text_of(ids.tolist(), tokenizer)
    assert told == "Ink <ph1> costs <ph2> of <ph1>." and restored(told, piece.kept) == (piece.text, [])
    (plain,) = ids_of([piece_of(piece.text, False)], tokenizer)
    assert text_of(plain.tolist(), tokenizer) == piece.text and not set(plain.tolist()) & set(masks)


def test_a_token_that_is_spelled_in_a_text_is_text(tokenizer):
    (ids,) = ids_of([piece_of("<ph1> and", False)], tokenizer)
    assert not set(ids.tolist()) & set(mask_ids(tokenizer))
    piece = piece_of("write <ph2> here", True)  # it looks like a tag, so it is kept as one
    assert restored("schreibe <ph1> hier", piece.kept) == ("schreibe <ph2> hier", [])


def test_what_is_missing_is_told_and_what_stands_for_nothing_is_taken_out():
    assert restored("a <ph2> b<ph7>", ["{x}", "{y}"]) == ("a {y} b", ["{x}"])


def test_lost_counts_both_ways():
    assert lost([5, 90, 91, 90], [90, 7, 90, 91], [90, 91]) == 0
    assert lost([5, 90, 91, 90], [90, 92], [90, 91, 92]) == 3


def test_no_text_gives_no_token(tokenizer):
    assert [ids.tolist() for ids in ids_of([piece_of("", True)], tokenizer)] == [[]]
    assert all(ids.dtype == np.int64 for ids in ids_of([piece_of("ink", True)], tokenizer))
