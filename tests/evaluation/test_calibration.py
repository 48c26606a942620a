"""Calibration errors are those of torchmetrics and scikit-learn; the temperature is where scipy finds the least loss."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from inkstone.errors import TextError
from inkstone.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    believable_temperature,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    mean_loss,
    reliability_bins,
    tempered,
)


def overconfident(n: int = 2000, k: int = 5, sharpness: float = 3.0, seed: int = 0):
    """Logits that are `sharpness` times as far apart as they should be, and labels drawn from the true odds."""
    generator = np.random.default_rng(seed)
    true = generator.standard_normal((n, k))
    gold = np.array([generator.choice(k, p=row) for row in tempered(true)])
    return sharpness * true, gold


@pytest.mark.parametrize("bins", [5, 15])
def test_the_calibration_error_is_that_of_torchmetrics(bins):
    logits, gold = overconfident()
    p = tempered(logits)
    theirs = multiclass_calibration_error(torch.tensor(p), torch.tensor(gold), num_classes=5, n_bins=bins, norm="l1")
    ours = expected_calibration_error(p.max(1), p.argmax(1) == gold, bins)
    assert ours == pytest.approx(float(theirs), abs=1e-6) and ours > 0.1


def test_bins_hold_every_prediction_once_at_the_edges_too():
    confidence = np.array([0.0, 0.1, 0.1000001, 0.5, 1.0])
    bins = reliability_bins(confidence, np.array([0, 1, 0, 1, 1]), 10)
    assert [b.number for b in bins] == [2, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert bins[0].accuracy == 0.5 and bins[0].confidence == pytest.approx(0.05) and bins[2].accuracy is None
    assert (bins[0].low, bins[-1].high) == (0.0, 1.0)


def test_the_brier_score_and_the_loss_are_those_of_scikit_learn():
    logits, gold = overconfident(300)
    p = tempered(logits)
    theirs = brier_score_loss(gold, p, labels=range(5), scale_by_half=False)
    assert brier_score(p, gold) == pytest.approx(theirs)
    assert mean_loss(p, gold) == pytest.approx(log_loss(gold, p, labels=range(5)))
    two = tempered(logits[:, :2])
    assert brier_score(two, gold % 2) == pytest.approx(2 * brier_score_loss(gold % 2, two[:, 1]))


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_the_temperature_has_the_least_loss_and_finds_what_was_made(sharpness):
    logits, gold = overconfident(sharpness=sharpness)
    found = fit_temperature(logits, gold)
    best = minimize_scalar(
        lambda log_t: mean_loss(tempered(logits, np.exp(log_t)), gold),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    assert found == pytest.approx(sharpness, rel=0.15)
    before, after = (
        expected_calibration_error(p.max(1), p.argmax(1) == gold)
        for p in (tempered(logits), tempered(logits, found))
    )  # fmt: skip
    assert after < 0.05 and (sharpness == 1.0 or after < before)
    assert (tempered(logits, found).argmax(1) == logits.argmax(1)).all()


def test_the_search_stops_at_its_bounds():
    logits = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert fit_temperature(logits, np.array([0, 1])) == COLDEST
    assert fit_temperature(logits, np.array([1, 0])) == HOTTEST
    assert fit_temperature(1000 * logits, np.array([0, 1])) == COLDEST  # no overflow


@pytest.mark.parametrize("scale", [0.1, 1.0, 1000.0])
def test_a_few_texts_that_are_all_right_do_not_make_a_model_sure_of_everything(scale):
    gold = np.arange(20) % 2
    logits = scale * np.where(gold[:, None] == [0, 1], 1.0 + np.arange(20)[:, None], 0.0)
    found = believable_temperature(logits, gold)
    assert tempered(logits, found).max(1).mean() == pytest.approx(21 / 22, abs=1e-6)
    one = believable_temperature(np.array([[scale, 0.0]]), np.array([0]))
    assert tempered(np.array([[scale, 0.0]]), one).max() == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_where_some_are_wrong_the_temperature_of_the_least_loss_holds(sharpness):
    logits, gold = overconfident(sharpness=sharpness)
    assert believable_temperature(logits, gold) == fit_temperature(logits, gold)
    assert believable_temperature(np.zeros((3, 2)), np.array([0, 1, 0])) == fit_temperature(
        np.zeros((3, 2)), np.array([0, 1, 0])
    )


def test_logits_are_not_taken_for_confidences():
    with pytest.raises(TextError, match="softmax"):
        reliability_bins(np.array([3.2, 0.1]), np.array([1, 0]))
    with pytest.raises(TextError, match="2 confidences for 1 predictions"):
        reliability_bins(np.array([0.2, 0.1]), np.array([1]))
