"""The bootstrap interval holds the truth about as often as it says."""

import numpy as np
import pytest

from inkstone.evaluation.intervals import ratio_interval


def test_coverage_on_simulated_documents():
    """Documents of very different lengths, each with its own mean; the truth is the ratio of expectations."""
    generator = np.random.default_rng(0)
    hits, trials = 0, 300
    for _ in range(trials):
        sizes = generator.lognormal(6, 0.7, size=60)
        bits = sizes * (2.0 + 0.3 * generator.standard_normal(60))
        low, high = ratio_interval(bits, sizes, resamples=300, generator=generator)
        hits += low <= 2.0 <= high
    # A binomial with 0.95 and 300 trials lies within 0.91 … 0.98 all but surely; the percentile method loses a little.
    assert 0.90 <= hits / trials <= 0.985


def test_a_ratio_of_sums_is_not_a_mean_of_ratios():
    bits, sizes = np.array([1000.0] * 5 + [1.0] * 5), np.array([1000.0] * 5 + [10.0] * 5)
    low, _ = ratio_interval(bits, sizes, generator=np.random.default_rng(0))
    assert low > 0.9  # the mean of the ten ratios would be 0.55


def test_the_same_seed_gives_the_same_interval():
    values, ones = np.random.default_rng(1).random(40), np.ones(40)
    first = ratio_interval(values, ones, generator=np.random.default_rng(3))
    assert first == ratio_interval(values, ones, generator=np.random.default_rng(3))
    assert first != ratio_interval(values, ones, generator=np.random.default_rng(4))


def test_too_few_units_give_none():
    assert ratio_interval(np.ones(4), np.ones(4), generator=np.random.default_rng(0)) == (None, None)


def test_many_units_are_added_up_first_without_changing_the_interval():
    generator = np.random.default_rng(5)
    values = 1 + generator.standard_normal(40_000)
    low, high = ratio_interval(values, np.ones(40_000), resamples=200, generator=generator)
    assert high - low == pytest.approx(2 * 1.96 / 200, rel=0.2)  # 1.96 standard errors of a mean, to both sides
