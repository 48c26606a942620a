"""The unigram learner against all segmentations, written out."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inkstone.tokens.unigram import _Lattice, _seeded, learn_pieces

WORDS = st.dictionaries(st.text("ab好", min_size=1, max_size=7), st.integers(1, 9), min_size=1, max_size=6)


def segmentations(word: str, pieces: dict[str, float]) -> Iterator[list[str]]:
    if not word:
        yield []
    for size in range(1, len(word) + 1):
        if word[:size] in pieces:
            for rest in segmentations(word[size:], pieces):
                yield [word[:size], *rest]


def probabilities(lattice: _Lattice) -> dict[str, float]:
    return {lattice.piece(number): float(p) for number, p in enumerate(lattice.probabilities)}


@settings(deadline=None, max_examples=100)
@given(WORDS, st.integers(0, 8))
def test_expected_counts_are_those_over_all_segmentations(words, most):
    lattice = _seeded(words, most)
    pieces = probabilities(lattice)
    assert sum(pieces.values()) == pytest.approx(1)
    expected: dict[str, float] = defaultdict(float)
    for word, count in words.items():
        ways = [(way, np.prod([pieces[piece] for piece in way])) for way in segmentations(word, pieces)]
        total = sum(likelihood for _, likelihood in ways)
        for way, likelihood in ways:
            for piece in way:
                expected[piece] += count * likelihood / total
    counts = lattice.expected_counts()
    assert {lattice.piece(i): count for i, count in enumerate(counts)} == pytest.approx(
        {piece: expected[piece] for piece in pieces}
    )


@settings(deadline=None, max_examples=100)
@given(WORDS)
def test_seeds_are_the_stretches_with_the_most_characters(words):
    uses: dict[str, int] = defaultdict(int)
    for word, count in words.items():
        for start in range(len(word)):
            for stop in range(start + 1, len(word) + 1):
                uses[word[start:stop]] += count
    longer = {piece: len(piece) * use for piece, use in uses.items() if len(piece) > 1 and use > 1}
    lattice = _seeded(words, 3)
    found = {lattice.piece(i) for i in range(len(lattice.lengths))}
    assert {piece for piece in found if len(piece) == 1} == set("".join(words))
    worth = sorted((longer[piece] for piece in found if len(piece) > 1), reverse=True)
    assert worth == sorted(longer.values(), reverse=True)[:3]


@settings(deadline=None, max_examples=50)
@given(WORDS, st.integers(1, 4))
def test_the_least_useful_pieces_go_first(words, most):
    lattice = _seeded(words, 20)
    pieces = probabilities(lattice)
    worth = {}
    for piece in pieces:
        if len(piece) > 1:
            ways = segmentations(piece, {other: 1.0 for other in pieces if other != piece})
            best = max(np.prod([pieces[part] for part in way]) for way in ways)
            worth[piece] = pieces[piece] * np.log(pieces[piece] / best)
    kept = lattice.without_the_least_useful(most)
    left = [worth[kept.piece(i)] for i in range(len(kept.lengths)) if kept.lengths[i] > 1]
    assert sorted(left, reverse=True) == pytest.approx(sorted(worth.values(), reverse=True)[:most])


def test_frequent_words_become_pieces():
    learned = learn_pieces({" the": 900, " theory": 30, " these": 60, " other": 50, "墨": 5, "水墨": 8}, 3)
    assert " the" in learned
    assert set(" theorysm墨水") - {"m"} <= learned.keys()
    assert sum(len(piece) > 1 for piece in learned) <= 3
    assert sum(np.exp(list(learned.values()))) == pytest.approx(1, abs=1e-4)
