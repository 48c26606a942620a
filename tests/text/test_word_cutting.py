"""Text cut into units as the data of a tagger have them: every character that is no blank belongs to exactly one unit."""

import pytest
from hypothesis import given, strategies as st

from inkstone.text.word_cutting import Cutting, joined, placed

TEXT = st.text(st.sampled_from("ab Z7.,!'’-_@#/:我北京大学。，\n\t\u3000é😀"), max_size=40)
CUTTINGS = [
    Cutting(units, *both) for units in ("words", "han", "characters") for both in ((False, False), (True, True))
]


def units(cutting, text):
    return [text[begin:stop] for begin, stop in cutting.places(text)]


@given(TEXT, st.sampled_from(CUTTINGS))
def test_units_are_in_order_and_leave_out_blanks_alone(text, cutting):
    at = 0
    for begin, stop in cutting.places(text):
        assert at <= begin < stop and not text[at:begin].strip()
        at = stop
    assert not text[at:].strip()


@given(TEXT, st.sampled_from(CUTTINGS))
def test_units_put_together_are_found_again(text, cutting):
    words = units(cutting, text)
    whole, starts = joined(words)
    assert [whole[start : start + len(word)] for start, word in zip(starts, words, strict=True)] == words
    assert placed(words, whole) == starts
    assert placed(words, text) == [begin for begin, _ in cutting.places(text)]


def test_units_follow_the_data():
    treebank = [["I", "do", "n't", "know", "@ink", "'s", "tag"], ["http://a.b", "is", "n't"]]
    assert Cutting.of(treebank) == Cutting("words", clitics=True, handles=True)
    assert Cutting.of([["I", "don't", "know", "@", "ink"]]) == Cutting()
    assert Cutting.of([["我", "爱", "N", "Y"]]).units == "characters"
    assert Cutting.of([["我", "爱", "北", "New", "York", "time"]]).units == "han"
    assert Cutting.of([["我", "爱", "北京"]]).units == "words"
    assert Cutting.of([]) == Cutting()


def test_each_form_cuts_as_it_says():
    text = "We can't see @me, www.a.b/c!! 我爱北京"
    assert units(Cutting(clitics=True, handles=True), text) == [
        "We", "ca", "n't", "see", "@me", ",", "www.a.b/c!!", "我", "爱", "北京",
    ]  # fmt: skip
    assert units(Cutting("han"), "see 北京!") == ["see", "北", "京", "!"]
    assert units(Cutting("characters"), "ab 北") == ["a", "b", "北"]


@pytest.mark.parametrize("text", ["me@home", "a#b"])
def test_a_handle_begins_where_no_word_goes_on(text):
    assert "@home" not in units(Cutting(handles=True), text) and "#b" not in units(Cutting(handles=True), text)


def test_words_that_are_not_in_their_text_have_no_places():
    assert placed(["a", "c"], "a b c") is None
    assert placed(["a"], "a b") is None
