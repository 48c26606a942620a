"""The bits say what the table says, which is filled here cell by cell."""

import numpy as np
from hypothesis import given, strategies as st

from inkstone.evaluation.subsequence import common_length, united_places

TOKENS = st.lists(st.sampled_from("abcd"), max_size=70)  # beyond the 30 and 64 bits that a processor takes at once


def table(first, second) -> np.ndarray:
    lengths = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            lengths[i + 1, j + 1] = lengths[i, j] + 1 if one == other else max(lengths[i, j + 1], lengths[i + 1, j])
    return lengths


def way_back(first, second) -> set[int]:
    lengths, places = table(first, second), set()
    i, j = len(first), len(second)
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            places.add(i)
        elif lengths[i, j - 1] > lengths[i - 1, j]:
            j -= 1
        else:
            i -= 1
    return places


def as_bits(places: set[int]) -> int:
    return sum(1 << place for place in places)


@given(TOKENS, TOKENS)
def test_the_length_is_the_last_cell_of_the_table(first, second):
    assert common_length(first, second) == common_length(second, first) == table(first, second)[-1, -1]


@given(TOKENS, st.lists(st.lists(st.sampled_from("abcdxy"), max_size=40), max_size=3))
def test_the_places_are_those_of_the_way_back_through_each_table(first, others):
    assert united_places(first, others) == as_bits(set().union(*(way_back(first, other) for other in others)))


def test_long_sequences():
    first, second = ["a", "b"] * 20_000, ["b", "c", "a"] * 10_000
    assert common_length(first, second) == 20_000  # b, a, b, a, ... to the end of the second
