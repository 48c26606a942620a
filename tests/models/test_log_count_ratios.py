"""The ratios against counting by hand, and what they are for: more from few texts."""

import math
import tracemalloc

import numpy as np
import pytest

from inkstone.models.linear_classifier import LinearSettings, fit
from inkstone.models.log_count_ratios import log_count_ratios, spread_of
from inkstone.text.sparse_rows import SparseRows

TABLE = np.array([[0.5, 0.5, 0.0, 0.0], [0.7, 0.0, 0.2, 0.0], [0.0, 0.3, 0.4, 0.0], [0.9, 0.0, 0.0, 0.0]])
ROWS = SparseRows.of_dense(TABLE)
LABELS = np.array([0, 2, 1, 0])


def test_ratios_are_those_of_the_formula():
    having = np.eye(3)[LABELS]
    found = log_count_ratios(ROWS, having)
    for column in range(4):
        for label in range(3):
            share = ((label == LABELS).sum() + 0.5) / 5
            own = sum(TABLE[row, column] > 0 for row in range(4) if LABELS[row] == label)
            others = sum(TABLE[row, column] > 0 for row in range(4) if LABELS[row] != label)
            expected = math.log((1 + own / share) / (1 + others / (1 - share)))
            assert found[column, label] == pytest.approx(expected)
    assert not found[3].any()  # what no text has says nothing


def test_the_spread_is_a_power_of_the_ratios_and_one_in_the_mean_square():
    ratios = log_count_ratios(ROWS, np.eye(3)[LABELS])
    for power in (0.5, 1.0):
        spread = spread_of(ROWS, LABELS, power)
        assert spread is not None and np.square(spread).mean() == pytest.approx(1)
        np.testing.assert_allclose(spread / spread.max(), np.abs(ratios / np.abs(ratios).max()) ** power)
    assert spread_of(ROWS, LABELS, 0.0) is None
    assert spread_of(SparseRows.of_dense(np.zeros((4, 0))), LABELS, 1.0) is not None


def test_many_columns_and_labels_take_little_more_memory_than_the_table_itself():
    draw = np.random.default_rng(0)
    keys = np.unique(draw.integers(0, 200 * 20_000, 6000))
    rows = SparseRows.of_keys(keys, np.ones(len(keys)), (200, 20_000))
    labels = np.arange(200) % 40
    tracemalloc.start()
    spread = spread_of(rows, labels, 1.5)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spread is not None and most < 1.3 * spread.nbytes
    having = np.eye(40)[labels]
    under, share = rows.transposed().dense() @ having, (having.sum(axis=0) + 0.5) / 201
    others = rows.dense().sum(axis=0)[:, None] - under
    all_at_once = np.abs(np.log1p(under / share) - np.log1p(others / (1 - share))) ** 1.5
    np.testing.assert_allclose(spread, all_at_once / np.sqrt(np.square(all_at_once).mean()), rtol=1e-12)


def test_a_table_of_labels_has_a_ratio_for_each():
    table = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    spread = spread_of(ROWS, table, 1.0)
    assert spread is not None and spread.shape == (4, 2)


def test_few_texts_teach_more_where_weights_spread_by_the_ratios():
    """Each text has one telling word among many that say nothing; a telling word stands in few of the texts to learn from."""
    draw = np.random.default_rng(0)
    noise, good, bad = ([f"{kind}{number}" for number in range(n)] for kind, n in (("x", 60), ("g", 12), ("b", 12)))

    def some(n: int) -> tuple[list[str], list[str]]:
        labels = [str(draw.choice(["good", "bad"])) for _ in range(n)]
        return [
            " ".join([*draw.choice(noise, 12), str(draw.choice(good if label == "good" else bad))]) for label in labels
        ], labels

    texts, labels = some(120)
    new, gold = some(600)
    right = {}
    for ratios in (0.0, 1.0):
        told = fit(texts, labels, LinearSettings(words=1, ratios=ratios)).predict(new)
        right[ratios] = np.mean([a == b for a, b in zip(told, gold, strict=True)])
    assert right[1.0] > right[0.0] + 0.01
