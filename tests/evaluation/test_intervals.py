"""The bootstrap interval holds the truth about as often as it says."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import f1_score

from inkstone.evaluation.intervals import (
    _grouped,
    difference_interval,
    figure_interval,
    ratio,
    ratio_interval,
    with_ones,
)
from inkstone.evaluation.label_scores import label_counts, macro_f1


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


def test_any_figure_of_sums_has_the_interval_that_drawing_predictions_anew_gives():
    """The brute force: texts drawn with replacement, their macro-F1 by scikit-learn, each time from the predictions."""
    generator = np.random.default_rng(6)
    gold = generator.choice(["a", "b", "c"], size=80, p=[0.6, 0.3, 0.1])
    predicted = np.where(generator.random(80) < 0.7, gold, generator.choice(["a", "b", "c"], size=80))
    counts = label_counts(list(gold), list(predicted), ["a", "b", "c"])
    ours = figure_interval(counts, macro_f1, resamples=150, generator=np.random.default_rng(7))
    drawn = np.random.default_rng(7).integers(80, size=(150, 80))
    figures = [f1_score(gold[row], predicted[row], average="macro", zero_division=np.nan) for row in drawn]
    assert ours == pytest.approx(tuple(np.quantile(figures, [0.025, 0.975])))
    assert ours[0] < float(macro_f1(counts.sum(0, dtype=int))) < ours[1]


def test_the_interval_of_a_mean_is_that_of_scipy():
    values = np.random.default_rng(8).lognormal(size=50)
    ours = figure_interval(with_ones(values), ratio, resamples=4000, generator=np.random.default_rng(9))
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(10)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), rel=0.03)
    assert ours == ratio_interval(values, np.ones(50), resamples=4000, generator=np.random.default_rng(9))


def test_two_systems_drawn_together_differ_more_surely_than_apart():
    generator = np.random.default_rng(11)
    hard = generator.random(200)
    first, second = (with_ones(hard + 0.05 * generator.random(200) + shift) for shift in (0.02, 0.0))
    low, high = difference_interval(first, second, ratio, generator=np.random.default_rng(12))
    assert 0 < low < 0.02 < high + 0.01
    apart = figure_interval(first, ratio, generator=np.random.default_rng(12))
    assert high - low < 0.2 * (apart[1] - apart[0])


def test_resamples_whose_figure_is_no_number_are_left_out():
    counts = np.zeros((30, 1, 3), dtype=np.int8)
    assert figure_interval(counts, macro_f1, generator=np.random.default_rng(0)) == (None, None)
    counts[0] = 1  # about one resample in three does not hold this text
    assert figure_interval(counts, macro_f1, generator=np.random.default_rng(0)) == (1.0, 1.0)


def test_counts_of_many_units_do_not_overflow_when_added_up():
    counts = np.ones((50_000, 1, 3), dtype=np.int8)
    assert figure_interval(counts, macro_f1, resamples=5, generator=np.random.default_rng(0)) == (1.0, 1.0)
    assert _grouped(np.ones(1_600_000, dtype=np.int8)).max() == 160
