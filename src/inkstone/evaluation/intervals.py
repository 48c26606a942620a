"""How sure is a figure? Bootstrap intervals of a ratio of sums (Efron 1979; percentile method)."""

import numpy as np
from jaxtyping import Num

FEWEST_UNITS = 5  # below this, a bootstrap says nothing
DRAWN_AT_ONCE = 1 << 18  # units
MOST_UNITS = 10_000  # beyond this, neighbours are added up first: the same interval in less time


def ratio_interval(
    numerators: Num[np.ndarray, " n"],
    denominators: Num[np.ndarray, " n"],
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    generator: np.random.Generator,
) -> tuple[float | None, float | None]:
    """An interval for Σ numerators / Σ denominators over units drawn anew with replacement.

    The units (documents, or sections of them: a block bootstrap, Künsch 1989) must be all but independent. Returns
    (None, None) for fewer than five. With fewer than about thirty, the interval is known to be somewhat too narrow.

    >>> ratio_interval(np.full(9, 4.0), np.full(9, 2.0), generator=np.random.default_rng(0))
    (2.0, 2.0)
    """
    if len(numerators) < FEWEST_UNITS:
        return None, None
    if len(numerators) > MOST_UNITS:
        numerators, denominators = _grouped(numerators), _grouped(denominators)
    n = len(numerators)
    at_once = max(1, DRAWN_AT_ONCE // n)
    ratios = []
    for start in range(0, resamples, at_once):
        drawn = generator.integers(n, size=(min(at_once, resamples - start), n))
        ratios.append(numerators[drawn].sum(1) / np.maximum(denominators[drawn].sum(1), 1e-12))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(ratios), [tail, 1 - tail])
    return float(low), float(high)


def _grouped(values: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, np.linspace(0, len(values), MOST_UNITS, endpoint=False).astype(int))
