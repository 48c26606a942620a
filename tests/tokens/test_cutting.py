"""Cuts: parts put together are the text, and their pre-tokens are those of the whole."""

from itertools import product

import pytest
from hypothesis import given, settings, strategies as st
from tokenizers import Regex, pre_tokenizers

from inkstone.tokens.byte_bpe import PATTERN
from inkstone.tokens.cutting import pieces
from inkstone.tokens.vocabulary import WORD_PATTERN

TEXTS = st.one_of(
    st.text(st.sampled_from("aZ9 \n\r\t.,'’-é\u0301\u00a0\u2028\x1c好丁，。；“”　\u0600"), max_size=40),
    st.text(max_size=60),
)
SPLITTERS = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in (PATTERN, WORD_PATTERN)]


def check(text: str, size: int) -> None:
    """Pieces put together are the text, and their pre-tokens are those of the whole."""
    parts = pieces(text, size)
    assert "".join(parts) == text
    assert all(parts)
    if len(parts) == 1:
        return
    for splitter in SPLITTERS:
        whole = [token for token, _ in splitter.pre_tokenize_str(text)]
        assert [token for part in parts for token, _ in splitter.pre_tokenize_str(part)] == whole, (text, parts)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_pieces_have_the_pre_tokens_of_the_whole(text, size):
    check(text, size)


def test_every_short_text_of_the_characters_that_matter():
    for symbols in ("a \n.'", "好a，\n ", "a1 \u00a0\n"):
        for letters in product(symbols, repeat=5):
            check("".join(letters), 1)


def test_pieces_are_cut_at_the_first_place_after_their_size():
    assert pieces("ink and stone，和墨。\n砚", 1) == ["ink", " and", " stone", "，和墨", "。\n", "砚"]
    assert pieces("ink and stone", 100) == ["ink and stone"]
    assert pieces("", 1) == []


@pytest.mark.parametrize("text", ["好" * 100_000, "1" * 100_000, "a" * 100_000 + " b"])
def test_text_without_a_place_to_cut_stays_whole(text):
    assert len(pieces(text, 1000)) <= 2
