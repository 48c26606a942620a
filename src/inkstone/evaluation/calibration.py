"""Does a model know how sure it is? Of the answers given with 80 % confidence, about 80 % should be right."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from inkstone.errors import TextError

BINS = 15  # as in Guo et al. 2017
COLDEST, HOTTEST = 0.01, 100.0  # bounds of the search for a temperature
WARMEST = 10.0  # times the range of the logits: a temperature at which all labels are about as likely


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies above `low` and at most at `high` (the first bin holds 0 as well)."""

    low: float
    high: float
    number: int
    confidence: float | None  # their mean confidence; None where there are none
    accuracy: float | None  # the share of them that is right


def reliability_bins(confidence: Float[np.ndarray, " n"], right: Num[np.ndarray, " n"], bins: int = BINS) -> list[Bin]:
    """The predictions in bins of equal width by their confidence: drawn, a reliability diagram.

    `confidence` is the probability of the label that was given, `right` whether it is the right one. Raises TextError
    for confidences outside 0 … 1, for none, or where the two differ in length.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if len(confidence) != len(right) or not len(right):
        raise TextError(f"{len(confidence)} confidences for {len(right)} predictions; each needs one, and one at least")
    if not (np.isfinite(confidence).all() and confidence.min() >= 0 and confidence.max() <= 1 + 1e-6):
        raise TextError(
            f"a confidence is a probability from 0 to 1, not {confidence.min():g} … {confidence.max():g}; logits need a softmax"
        )
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    numbers, sures, rights = (np.bincount(place, weights, bins) for weights in (None, confidence, right))
    return [
        Bin(float(low), float(high), int(n), float(sure / n) if n else None, float(hits / n) if n else None)
        for low, high, n, sure, hits in zip(edges[:-1], edges[1:], numbers, sures, rights, strict=True)
    ]


def expected_calibration_error(
    confidence: Float[np.ndarray, " n"], right: Num[np.ndarray, " n"], bins: int = BINS
) -> float:
    """Σ over bins of |their accuracy − their mean confidence|, weighted by their share of predictions.

    Naeini et al. 2015, in the form of Guo et al. 2017: confidence of the label given, bins of equal width. It depends on
    the number of bins, and is biased upwards where bins hold few predictions, so compare at equal n and bins only.

    >>> round(expected_calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1, 1, 1, 0]), bins=10), 6)
    0.1
    """
    found = reliability_bins(confidence, right, bins)
    gaps = sum(b.number * abs(b.accuracy - b.confidence) for b in found if b.number)  # type: ignore[operator]
    return float(gaps / sum(b.number for b in found))


def brier_score(probabilities: Float[np.ndarray, "n k"], gold: Int[np.ndarray, " n"]) -> float:
    """(1/n) Σᵢ Σₖ (pᵢₖ − [gold is k])², from 0 to 2 (Brier 1950): a proper score, that is lowest for the true odds.

    With two labels it is twice the figure that is often given for the second one alone.
    """
    off = np.array(probabilities, np.float64)
    off[np.arange(len(off)), gold] -= 1
    return float((off**2).sum(1).mean())


def fit_temperature(logits: Float[np.ndarray, "n k"], gold: Int[np.ndarray, " n"]) -> float:
    """The temperature T for which softmax(logits / T) gives the gold labels the least mean loss (Guo et al. 2017).

    Fit it on development data, never on what is reported. One number for the whole model: no prediction changes, only
    how sure it is; T above 1 says that the model was too sure.

    The loss is convex in β = 1/T with slope mean(Σₖ pₖ zₖ − z_gold), so that halving an interval of log β finds its root.
    Where the loss still falls at a bound (0.01 or 100: every text right, or no better than chance), the bound is
    returned.
    """
    logits = np.asarray(logits, np.float64)
    centred = (
        logits - logits[np.arange(len(logits)), gold][:, None]
    )  # z − z_gold: the slope is then mean Σ p (z − z_gold)

    def slope(log_beta: float) -> float:
        return float((tempered(centred, float(np.exp(-log_beta))) * centred).sum(1).mean())

    low, high = -np.log(HOTTEST), -np.log(COLDEST)
    if slope(low) >= 0:
        return HOTTEST
    if slope(high) <= 0:
        return COLDEST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def believable_temperature(logits: Float[np.ndarray, "n k"], gold: Int[np.ndarray, " n"]) -> float:
    """The temperature of `fit_temperature`, but none so low that the mean confidence exceeds (n + 1) / (n + 2).

    Of n texts that are all right, the least loss would have every confidence at 1, however few they are. What n right ones in
    n show is a chance of (n + 1) / (n + 2) that the next is right: Laplace's rule of succession, which Platt 1999 takes for
    the targets of his calibration. Where some are wrong the least loss mostly keeps below by itself, and nothing changes.
    """
    logits = np.asarray(logits, np.float64)
    most = (len(logits) + 1) / (len(logits) + 2)
    fitted = fit_temperature(logits, gold)
    if tempered(logits, fitted).max(1).mean() <= most:
        return fitted
    low, high = np.log(fitted), np.log(max(fitted, WARMEST * float(np.ptp(logits))))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if tempered(logits, float(np.exp(middle))).max(1).mean() <= most else (middle, high)
    return float(np.exp(high))


def tempered(logits: Float[np.ndarray, "n k"], temperature: float = 1.0) -> Float[np.ndarray, "n k"]:
    """softmax(logits / temperature), row by row."""
    scaled = np.asarray(logits, np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def mean_loss(probabilities: Float[np.ndarray, "n k"], gold: Int[np.ndarray, " n"]) -> float:
    """−(1/n) Σ ln p(gold), in nats."""
    chosen = np.asarray(probabilities, np.float64)[np.arange(len(gold)), gold]
    return float(-np.log(np.maximum(chosen, 1e-300)).mean())
