"""Fertility on texts small enough to count by hand."""

import pytest

from inkstone.errors import TextError
from inkstone.tokens.fertility import fertility
from inkstone.tokens.learning import learn_tokenizer


def test_figures_counted_by_hand():
    tokenizer = learn_tokenizer(["ab cd ab cd 好好"], "character", 300)
    figures = fertility(tokenizer, ["ab it's 好", "砚"])
    assert figures.documents == 2
    assert figures.characters == 10
    assert figures.bytes == 14
    assert figures.words == 4  # ab, it's, 好, 砚
    assert figures.tokens == 9 + 3  # 砚 was never seen: three bytes
    assert figures.bytes_per_token == 14 / 12
    assert figures.characters_per_token == 10 / 12
    assert figures.tokens_per_word == 12 / 4
    assert figures.byte_tokens == 3 / 12
    distinct = len(set("ab it's 好")) + 3
    assert figures.vocabulary_used == distinct / tokenizer.vocab_size


def test_no_text_is_refused():
    with pytest.raises(TextError, match="no text"):
        fertility(learn_tokenizer(["ink"], vocab_size=270), [""])
