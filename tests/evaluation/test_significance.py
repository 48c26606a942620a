"""Tests of two systems: exact where they can be, by chance as often as they say otherwise, equal to scipy's."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest, permutation_test as scipy_permutation_test
from sklearn.metrics import f1_score

from inkstone.errors import TextError
from inkstone.evaluation.intervals import ratio, with_ones
from inkstone.evaluation.label_scores import label_counts, macro_f1
from inkstone.evaluation.significance import mcnemar_test, permutation_test


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_a_test_of_an_even_coin(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = mcnemar_test(first, second)
    n = found.only_first + found.only_second
    assert (found.only_first, n) == (int((first & ~second).sum()), int((first != second).sum()))
    exact = binomtest(found.only_first, n).pvalue if n else 1.0
    assert found.p == pytest.approx(exact)
    least = min(found.only_first, found.only_second)
    ways = [bits for bits in product([0, 1], repeat=min(n, 12)) if sum(bits) == least] if n <= 12 else None
    if ways is not None:
        tail = sum(sum(bits) <= least for bits in product([0, 1], repeat=n)) / 2**n
        assert found.mid_p == pytest.approx(2 * tail - len(ways) / 2**n)


def test_mcnemar_of_many_texts_stays_exact():
    first = np.arange(20_000) < 10_200
    found = mcnemar_test(first, ~first)
    assert found.p == pytest.approx(binomtest(10_200, 20_000).pvalue, rel=1e-6) and 0 < found.mid_p < found.p


def test_a_difference_of_means_is_tested_exactly_as_by_scipy():
    random = np.random.default_rng(1)
    first, second = random.random(9), random.random(9) - 0.2
    theirs = scipy_permutation_test(
        (first, second), lambda a, b, axis: a.mean(axis) - b.mean(axis), permutation_type="samples", n_resamples=np.inf
    )  # fmt: skip
    ours = permutation_test(with_ones(first), with_ones(second), ratio, generator=generator())
    assert ours.exact and ours.permutations == 512
    assert (ours.difference, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))


@settings(max_examples=4)
@given(st.integers(0, 1000))
def test_macro_f1_is_tested_exactly_by_enumeration(seed):
    """The brute force swaps the predictions themselves, and scikit-learn scores them."""
    random = np.random.default_rng(seed)
    gold, first, second = (random.choice(["a", "b"], size=5) for _ in range(3))

    def figure(predicted) -> float:
        return f1_score(gold, predicted, average="macro", zero_division=np.nan)

    observed = figure(first) - figure(second)
    as_far = [
        abs(figure(np.where(swap, second, first)) - figure(np.where(swap, first, second))) >= abs(observed) - 1e-12
        for swap in product([False, True], repeat=5)
    ]
    counts = [label_counts(list(gold), list(side), ["a", "b"]) for side in (first, second)]
    ours = permutation_test(*counts, macro_f1, generator=generator())
    assert (ours.difference, ours.p) == pytest.approx((observed, np.mean(as_far)))


def test_drawn_permutations_come_near_all_of_them():
    random = np.random.default_rng(2)
    first, second = (with_ones(random.random(14) + shift) for shift in (0.3, 0.0))
    every = permutation_test(first, second, ratio, permutations=1 << 14, generator=generator())
    drawn = permutation_test(first, second, ratio, permutations=8000, generator=generator())
    assert every.exact and not drawn.exact
    assert drawn.p == pytest.approx(every.p, abs=0.02) and 0.01 < every.p < 0.5


def test_a_right_hypothesis_is_rejected_as_often_as_the_level_says():
    """Two equal systems, 300 times: p below 0.1 in about a tenth of them."""
    random, rejected = np.random.default_rng(3), 0
    for _ in range(300):
        first, second = (with_ones(random.random(40) < 0.7) for _ in range(2))
        rejected += permutation_test(first, second, ratio, permutations=200, generator=random).p <= 0.1
    assert 0.04 < rejected / 300 < 0.16


def test_texts_on_which_both_do_the_same_change_nothing():
    random = np.random.default_rng(4)
    first, second = random.random(30), random.random(30)
    second[8:] = first[8:]
    shown = permutation_test(with_ones(first), with_ones(second), ratio, generator=generator())
    assert shown.exact and shown.permutations == 256
    same = permutation_test(with_ones(first), with_ones(first), ratio, generator=generator())
    assert (same.p, same.difference, same.permutations) == (1.0, 0.0, 1)


def test_p_is_never_zero_and_the_seed_decides():
    first, second = with_ones(np.ones(60)), with_ones(np.zeros(60))
    assert permutation_test(first, second, ratio, permutations=99, generator=generator()).p == 0.01
    random = np.random.default_rng(5)
    first, second = with_ones(random.random(60)), with_ones(random.random(60))
    results = [permutation_test(first, second, ratio, 500, generator=np.random.default_rng(s)).p for s in (0, 0, 1)]
    assert results[0] == results[1] != results[2]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(TextError, match="same texts"):
        permutation_test(np.ones((3, 2)), np.ones((4, 2)), ratio, generator=generator())
    with pytest.raises(TextError, match="same texts"):
        mcnemar_test(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(TextError, match="not a number"):
        permutation_test(np.zeros((3, 1, 3)), np.zeros((3, 1, 3)), macro_f1, generator=generator())
