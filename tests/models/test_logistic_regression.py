"""Logistic regression against autograd and against scikit-learn's LogisticRegression on the same rows."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from inkstone.models.logistic_regression import LogisticRegression, _Gathered, loss_and_slope, matrix
from inkstone.text.sparse_rows import SparseRows


def some_rows(n: int = 120, width: int = 90, seed: int = 0) -> SparseRows:
    """Of length one and unevenly sparse, as texts are; the last columns are seen once or never."""
    draw = np.random.default_rng(seed)
    table = draw.random((n, width)) * (draw.random((n, width)) < 0.6 / (1 + np.arange(width) / 4))
    return SparseRows.of_dense(table).at_length_one()


def some_labels(rows: SparseRows, n_labels: int, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    logits = 4 * rows.dense() @ draw.normal(size=(rows.width, n_labels)) + draw.gumbel(size=(len(rows), n_labels))
    return (logits + np.linspace(0, 2, n_labels)).argmax(axis=1)  # some are frequent, some rare


def probabilities(rows: SparseRows, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    logits = torch.from_numpy(rows.dense() @ weights + bias)
    return (logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)).numpy()


@pytest.mark.parametrize("n_labels", [2, 5, 20])
@pytest.mark.parametrize("c", [0.1, 1.0, 30.0])
def test_probabilities_are_those_of_scikit_learn(n_labels, c):
    peer = pytest.importorskip("sklearn.linear_model").LogisticRegression(C=c, tol=1e-8, max_iter=5000)
    rows = some_rows()
    labels = some_labels(rows, n_labels)
    labels[:n_labels] = np.arange(n_labels)  # each is there
    targets = labels if n_labels > 2 else labels[:, None].astype(float)
    weights, bias = LogisticRegression(rows, targets, n_labels if n_labels > 2 else 1).fit(c)
    theirs = peer.fit(rows.dense(), labels).predict_proba(rows.dense())
    ours = probabilities(rows, weights, bias)
    np.testing.assert_allclose(ours, theirs if n_labels > 2 else theirs[:, 1:], atol=1e-3)


def test_each_of_several_labels_is_a_regression_of_its_own():
    peer = pytest.importorskip("sklearn.linear_model").LogisticRegression(C=2.0, tol=1e-8, max_iter=5000)
    rows = some_rows()
    table = np.stack([some_labels(rows, 2, seed) for seed in range(4)], axis=1).astype(float)
    weights, bias = LogisticRegression(rows, table, 4).fit(2.0)
    ours = torch.from_numpy(rows.dense() @ weights + bias).sigmoid().numpy()
    theirs = [peer.fit(rows.dense(), column).predict_proba(rows.dense())[:, 1] for column in table.T]
    np.testing.assert_allclose(ours, np.stack(theirs, axis=1), atol=1e-3)


@pytest.mark.parametrize("n_labels", [2, 5])
def test_a_spread_of_the_weights_is_the_same_as_values_that_are_as_much_larger(n_labels):
    """Of outputs that all have the same spread s, w = s ∘ v on the rows x is v on the rows s ∘ x."""
    rows = some_rows()
    labels = some_labels(rows, n_labels)
    labels[:n_labels] = np.arange(n_labels)
    targets = labels if n_labels > 2 else labels[:, None].astype(float)
    outputs = n_labels if n_labels > 2 else 1
    seen = np.bincount(rows.columns, minlength=rows.width)
    spread = np.where(seen > 1, np.random.default_rng(5).uniform(0.2, 2, rows.width), 0.7)
    scaled = SparseRows.of_dense(rows.dense() * spread)
    weights, bias = LogisticRegression(rows, targets, outputs, np.tile(spread[:, None], (1, outputs))).fit(3.0)
    expected = probabilities(scaled, *LogisticRegression(scaled, targets, outputs).fit(3.0))
    np.testing.assert_allclose(probabilities(rows, weights, bias), expected, atol=1e-3)


def test_a_weight_without_spread_stays_zero():
    rows = some_rows()
    labels = some_labels(rows, 2)[:, None].astype(float)
    spread = np.ones((rows.width, 1))
    spread[:3] = 0
    weights, _ = LogisticRegression(rows, labels, 1, spread).fit(3.0)
    assert not weights[:3].any() and weights[3:].any()


def test_where_it_begins_makes_no_difference():
    rows = some_rows()
    labels = some_labels(rows, 5)
    labels[:5] = np.arange(5)
    again = LogisticRegression(rows, labels, 5)
    for c in (0.1, 30.0, 1.0):
        warm = probabilities(rows, *again.fit(c))
        cold = probabilities(rows, *LogisticRegression(rows, labels, 5).fit(c))
        np.testing.assert_allclose(warm, cold, atol=1e-3)


def test_it_ends_where_every_logit_is_near_its_best():
    rows = some_rows()
    labels = some_labels(rows, 2)[:, None].astype(float)
    best = probabilities(rows, *LogisticRegression(rows, labels, 1).fit(3.0, close=1e-9))
    evaluations = []
    for close in (1.0, 0.1, 0.01):
        seen: list[str] = []
        found = probabilities(rows, *LogisticRegression(rows, labels, 1).fit(3.0, close, seen.append))
        assert abs(found - best).max() <= close / 4
        evaluations.append(len(seen))
    assert evaluations == sorted(evaluations) and evaluations[0] < evaluations[2]


def test_the_slope_is_that_of_autograd():
    draw = np.random.default_rng(0)
    logits = torch.from_numpy(draw.normal(size=(7, 3))).requires_grad_()
    for targets in (torch.tensor([0, 2, 1, 1, 0, 2, 2]), torch.from_numpy((draw.random((7, 3)) < 0.5).astype(float))):
        loss, slope = loss_and_slope(logits.detach(), targets)
        if targets.dim() == 1:
            expected = F.cross_entropy(logits, targets, reduction="sum")
        else:
            expected = -(targets * F.logsigmoid(logits) + (1 - targets) * F.logsigmoid(-logits)).sum()
        torch.testing.assert_close(loss, expected.detach())
        torch.testing.assert_close(slope, torch.autograd.grad(expected, logits)[0])


def test_columns_that_a_row_has_alone_may_be_one_column():
    """The same loss at the weights that come back, and no column of one row but one for each row."""
    table = some_rows().dense()
    table[3, -4:] = 0.5, 0.0, 0.25, 0.125
    table[np.arange(len(table)) != 3, -4:] = 0
    rows = SparseRows.of_dense(table)
    together = _Gathered(rows)
    alone = np.bincount(together.rows.columns, minlength=together.rows.width) == 1
    assert alone.sum() <= len(rows) and together.rows.width < rows.width
    found = np.random.default_rng(0).normal(size=(together.rows.width, 2))
    weights = together.weights(found)
    np.testing.assert_allclose(rows.dense() @ weights, together.rows.dense() @ found, atol=1e-12)
    np.testing.assert_allclose((weights**2).sum(axis=0), (found**2).sum(axis=0))


def test_without_columns_there_are_only_the_shares_of_the_labels():
    empty = SparseRows.of_dense(np.zeros((8, 0)))
    weights, bias = LogisticRegression(empty, np.array([0, 0, 0, 0, 1, 1, 2, 2]), 3).fit(1.0)
    assert weights.shape == (0, 3)
    np.testing.assert_allclose(torch.from_numpy(bias).softmax(0).numpy(), [0.5, 0.25, 0.25], atol=1e-3)
    nothing = SparseRows.of_dense(np.zeros((8, 3)))
    weights, bias = LogisticRegression(nothing, np.array([[0.0]] * 6 + [[1.0]] * 2), 1).fit(1.0)
    assert not weights.any() and abs(1 / (1 + np.exp(-bias[0])) - 0.25) < 1e-3


def test_labels_that_all_have_stay_finite():
    rows = some_rows(30)
    weights, bias = LogisticRegression(rows, np.ones((30, 1)), 1).fit(10.0)
    assert np.isfinite(weights).all() and np.isfinite(bias).all()
    assert probabilities(rows, weights, bias).min() > 0.95


def test_a_sparse_product_is_the_dense_one():
    rows = some_rows(20)
    right = torch.randn(rows.width, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(matrix(rows, torch.float64) @ right, torch.from_numpy(rows.dense()) @ right)
