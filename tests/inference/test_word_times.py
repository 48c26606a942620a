"""When each word is said: frames of its first and last token, in seconds."""

from itertools import pairwise

import numpy as np
import pytest

from inkstone.inference.word_times import spelled_words, word_times
from inkstone.tokens.learning import learn_tokenizer


def sure_of(tokens, size):
    scores = np.full((len(tokens), size), 1e-4)
    scores[np.arange(len(tokens)), tokens] = 1.0
    return np.log(scores / scores.sum(1, keepdims=True))


@pytest.mark.parametrize("text", ["two ink", "研墨 ink", "ü 墨"])
def test_words_have_the_times_of_their_tokens(text):
    tokenizer = learn_tokenizer(["two ink 研墨 two ink 研墨"], "character", 300)  # ü is spelled in bytes
    ids, row, starts = tokenizer.encode(text), [tokenizer.end] * 2, []
    for token in ids:
        starts.append(len(row))
        row += [token, tokenizer.end]
    found = word_times(sure_of(row, tokenizer.vocab_size), ids, tokenizer, 0.04, 0.08, 100.0)
    assert [word["word"] for word in found] == (["研", "墨", "ink"] if text == "研墨 ink" else text.split())
    assert found[0]["start"] == pytest.approx(0.0)
    assert found[-1]["end"] == pytest.approx((starts[-1] + 1) * 0.04 - 0.08)
    assert all(word["start"] < word["end"] for word in found)
    assert all(one["end"] < other["start"] + 0.04 for one, other in pairwise(found))


def test_bytes_that_are_no_character_take_no_place_of_others():
    tokenizer = learn_tokenizer(["two ink"], "byte-bpe", 300)
    of_byte = {spelling: number for number, spelling in enumerate(tokenizer.spelling) if len(spelling) == 1}
    ids = [of_byte[bytes([byte])] for byte in b"\xc3a two\xa9 ink"]
    assert spelled_words(ids, tokenizer) == [("\ufffda", 0, 1), ("two\ufffd", 3, 6), ("ink", 8, 10)]


def test_a_text_that_no_path_spells_has_no_times():
    tokenizer = learn_tokenizer(["aab"], "character", 300)
    scores = sure_of([0, 1], tokenizer.vocab_size)
    assert word_times(scores, tokenizer.encode("aab"), tokenizer, 0.04, 0.0, 1.0) == []
    assert word_times(scores, [], tokenizer, 0.04, 0.0, 1.0) == []
