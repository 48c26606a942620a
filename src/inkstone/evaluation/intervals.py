"""How sure is a figure? Bootstrap intervals over units drawn anew with replacement (Efron 1979; percentile method).

A figure is a function of sums over the units (documents, texts, sentences): a ratio of two sums, a macro-F1 of counts for
each label. Each unit's share of the sums is its row of statistics. A resample then is a product of matrices, of how often
each unit was drawn with the statistics, and no figure needs the predictions again.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Num

FEWEST_UNITS = 5  # below this, a bootstrap says nothing
DRAWN_AT_ONCE = 1 << 18  # units
MOST_UNITS = 10_000  # beyond this, neighbours are added up first: the same interval in less time

Figure = Callable[[np.ndarray], np.ndarray]  # sums "r ..." of r resamples → their figures "r"


def ratio_interval(
    numerators: Num[np.ndarray, " n"],
    denominators: Num[np.ndarray, " n"],
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    generator: np.random.Generator,
) -> tuple[float | None, float | None]:
    """An interval for Σ numerators / Σ denominators; a mean, where the denominators are 1.

    The units (documents, or sections of them: a block bootstrap, Künsch 1989) must be all but independent. Returns
    (None, None) for fewer than five. With fewer than about thirty, the interval is known to be somewhat too narrow.

    >>> ratio_interval(np.full(9, 4.0), np.full(9, 2.0), generator=np.random.default_rng(0))
    (2.0, 2.0)
    """
    both = np.stack([numerators, denominators], axis=1)
    return figure_interval(both, ratio, confidence, resamples, generator=generator)


def figure_interval(
    statistics: Num[np.ndarray, "n ..."],
    figure: Figure,
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    generator: np.random.Generator,
) -> tuple[float | None, float | None]:
    """An interval for figure(sums of the statistics), the rows drawn anew with replacement.

    `figure` takes the sums of many resamples at once, with the resamples along the first axis: `label_scores.macro_f1`
    and `micro_f1` do. Resamples whose figure is not a number are left out. Returns (None, None) for fewer than five
    rows.
    """
    if len(statistics) < FEWEST_UNITS:
        return None, None
    if len(statistics) > MOST_UNITS:
        statistics = _grouped(statistics)
    n, shape = len(statistics), statistics.shape[1:]
    rows = statistics.reshape(n, -1).astype(np.float64)
    at_once = max(1, DRAWN_AT_ONCE // n)
    figures = []
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        sums = _times_drawn(generator.integers(n, size=(size, n))) @ rows
        figures.append(figure(sums.reshape(size, *shape)))
    found = np.concatenate(figures)
    found = found[np.isfinite(found)]
    if not len(found):
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def difference_interval(
    first: Num[np.ndarray, "n ..."],
    second: Num[np.ndarray, "n ..."],
    figure: Figure,
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    generator: np.random.Generator,
) -> tuple[float | None, float | None]:
    """An interval for figure(first) − figure(second), of two systems on the same units, drawn together.

    Much narrower than two intervals side by side: what makes a text hard is hard for both.
    """

    def difference(sums: np.ndarray) -> np.ndarray:
        return figure(sums[:, 0]) - figure(sums[:, 1])

    return figure_interval(np.stack([first, second], axis=1), difference, confidence, resamples, generator=generator)


def ratio(sums: Float[np.ndarray, "*rest 2"]) -> Float[np.ndarray, "*rest"]:
    """The figure of statistics (numerator, denominator)."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-12)


def with_ones(values: Num[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
    """Statistics (value, 1), whose `ratio` is the mean of the values."""
    values = np.asarray(values, np.float64)
    return np.stack([values, np.ones_like(values)], axis=1)


def _times_drawn(drawn: np.ndarray) -> np.ndarray:
    """How often each of n units is among the n drawn, for every row."""
    size, n = drawn.shape
    return (
        np.bincount((drawn + n * np.arange(size)[:, None]).ravel(), minlength=size * n).reshape(size, n).astype(float)
    )


def _grouped(values: np.ndarray) -> np.ndarray:
    starts = np.linspace(0, len(values), MOST_UNITS, endpoint=False).astype(int)
    return np.add.reduceat(values, starts, axis=0, dtype=np.float64)
