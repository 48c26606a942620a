"""N-grams against counting them one by one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import RecipeError
from inkstone.text.ngrams import NgramIndex, NgramSettings
from inkstone.text.words import words

TEXTS = st.lists(st.text(alphabet="ab Bｃ.好坏吗、カไ", max_size=12), max_size=6)
HAN = "好坏吗カไ"


def plain_ngrams(text: str, settings: NgramSettings) -> list[str]:
    """Word n-grams of the text without its unspaced characters, character n-grams of each run of them."""
    text = text.lower().replace("ｃ", "c")
    found = []
    inside = words("".join(" " if character in HAN else character for character in text))
    for n in range(1, settings.words + 1):
        found += [" ".join(inside[at : at + n]) for at in range(len(inside) - n + 1)]
    for run in "".join(character if character in HAN else " " for character in text).split():
        for n in range(1, settings.characters + 1):
            found += [run[at : at + n] for at in range(len(run) - n + 1)]
    return found


def named_counts(index: NgramIndex, texts: list[str]) -> list[dict[str, int]]:
    table = index.counts(index.lines(texts), len(texts)).dense()
    return [{name: int(count) for name, count in zip(index.names(), row, strict=True) if count} for row in table]


@given(TEXTS, TEXTS, st.sampled_from([(2, 3, 1), (1, 0, 1), (0, 2, 1), (3, 3, 2), (2, 1, 3)]))
def test_counts_are_those_of_counting_one_by_one(texts, others, shape):
    settings = NgramSettings(*shape)
    index, _ = NgramIndex.learn(texts, np.arange(len(texts)), settings)
    having = Counter(name for text in texts for name in set(plain_ngrams(text, settings)))
    assert sorted(index.names()) == sorted(name for name, count in having.items() if count >= settings.fewest)
    known = set(index.names())
    for text, counts in zip(texts + others, named_counts(index, texts + others), strict=True):
        assert counts == {name: n for name, n in Counter(plain_ngrams(text, settings)).items() if name in known}


def test_texts_of_one_owner_count_as_one():
    index, _ = NgramIndex.learn(["ink", "ink", "stone", "ink stone"], np.array([0, 0, 1, 2]), NgramSettings(1, 0, 2))
    assert index.names() == ["ink", "stone"]
    index, _ = NgramIndex.learn(["ink", "ink", "stone"], np.array([0, 0, 1]), NgramSettings(1, 0, 2))
    assert index.names() == []


def test_an_ngram_with_a_new_word_is_not_taken_for_one_of_known_words():
    """The first new word has the number that would carry over: to a base of 2, "ink" and 2 is "stone ink"."""
    index, _ = NgramIndex.learn(["ink stone ink"], np.zeros(1, dtype=np.int64), NgramSettings())
    assert named_counts(index, ["ink paper"]) == [{"ink": 1}]


def test_no_ngram_crosses_what_stands_between_two_runs():
    index, _ = NgramIndex.learn(["墨好。砚iPhone台"], np.zeros(1, dtype=np.int64), NgramSettings())
    assert sorted(index.names()) == sorted(["iphone", "墨", "好", "砚", "台", "墨好"])


@pytest.mark.parametrize("wrong", [dict(words=4), dict(characters=-1), dict(words=0, characters=0), dict(fewest=0)])
def test_settings_that_cannot_hold_are_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        NgramSettings(**wrong)
