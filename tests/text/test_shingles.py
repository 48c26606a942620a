import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from inkstone.text import shingles as module
from inkstone.text.shingles import PERMUTATIONS, UNITS, shingles, signatures

UNIT = re.compile(r"[\u4e00-\u9fff\u3040-\u30ff]|[^\W\u4e00-\u9fff\u3040-\u30ff_]+")


def oracle(text: str) -> set[tuple[str, ...]]:
    units = UNIT.findall(text.lower())
    return {tuple(units[start : start + UNITS]) for start in range(len(units) - UNITS + 1)}


def by_text(texts: list[str]) -> list[set[int]]:
    flat, counts = shingles(pl.Series(texts, dtype=pl.String))
    return [set(part.tolist()) for part in np.split(flat, np.cumsum(counts)[:-1])]


WORDS = st.lists(
    st.sampled_from(["ink", "Stone", "a", "the", "砚台", "墨", "ink-stone", "été", "42", "ひら", "，", "。\n"]),
    max_size=30,
)


@given(st.lists(WORDS.map(" ".join), min_size=2, max_size=4))
def test_the_sets_have_the_sizes_and_overlaps_of_the_oracle(texts):
    found = by_text(texts)
    expected = [oracle(text) for text in texts]
    assert [len(one) for one in found] == [len(one) for one in expected]
    for a in range(len(texts)):
        for b in range(a):
            assert len(found[a] & found[b]) == len(expected[a] & expected[b])


@pytest.mark.parametrize("piece", [64, 256, 1000])
def test_texts_longer_than_a_piece(monkeypatch: pytest.MonkeyPatch, piece):
    generator = np.random.default_rng(3)
    texts = [
        "".join(generator.choice(list("ab 中文字 \n"), 700)),
        "x" * 500,
        "字" * 300,
        " ".join(map(str, range(400))),
    ]
    whole = by_text(texts)
    monkeypatch.setattr(module, "PIECE", piece)
    assert [len(one) for one in by_text(texts)][3] == len(whole[3]) == 396
    assert by_text(texts)[0] == whole[0]
    assert by_text(texts)[2] == whole[2]


def test_case_punctuation_and_blanks_make_no_difference():
    one, other = by_text(["The quick, brown fox jumps -- over", "the QUICK brown\nfox “jumps” over!"])
    assert one == other and len(one) == 2


def test_signatures_estimate_the_jaccard_similarity():
    generator = np.random.default_rng(1)
    base = [f"w{number}" for number in generator.integers(0, 10_000, 600)]
    texts = [" ".join(base)]
    for changes in (5, 20, 60):
        words = list(base)
        for place in generator.choice(600, changes, replace=False):
            words[place] = "changed"
        texts.append(" ".join(words))
    values, enough = signatures(pl.Series(texts))
    assert enough.all() and values.shape == (4, PERMUTATIONS)
    for number in range(1, 4):
        a, b = oracle(texts[0]), oracle(texts[number])
        estimate = (values[0] == values[number]).mean()
        assert abs(estimate - len(a & b) / len(a | b)) < 0.12  # three standard errors of 128 values


def test_short_texts_cannot_be_compared():
    _, enough = signatures(pl.Series(["four words are few", "", "five words are just enough"]))
    assert enough.tolist() == [False, False, True]
