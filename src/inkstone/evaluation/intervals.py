"""How sure is a figure? Bootstrap intervals of a ratio of sums (Efron 1979; percentile method)."""

import numpy as np
from jaxtyping import Float, Num

FEWEST_UNITS = 5  # below this, a bootstrap says nothing
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
    ratios: Float[np.ndarray, " resamples"] = np.empty(resamples)
    for row in range(resamples):
        drawn = generator.integers(n, size=n)
        ratios[row] = numerators[drawn].sum() / max(denominators[drawn].sum(), 1e-12)
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def _grouped(values: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, np.linspace(0, len(values), MOST_UNITS, endpoint=False).astype(int))
