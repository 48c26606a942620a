"""How rich a vocabulary is: type/token ratio, its form that does not depend on length, and Zipf's law."""

from dataclasses import dataclass

import numpy as np
import polars as pl

WINDOW = 500  # words


@dataclass
class MovingTypes:
    """Distinct words summed over windows, and how many windows there were; sums of texts add up."""

    types: int = 0
    windows: int = 0
    window: int = WINDOW

    def ratio(self) -> float | None:
        """The moving-average type/token ratio, or None where no text was as long as one window."""
        return self.types / (self.windows * self.window) if self.windows else None


def moving_types(words: pl.Series, window: int = WINDOW) -> MovingTypes:
    """Of all windows of `window` words in a row: the sum of their numbers of distinct words (Covington and McFall 2010).

    A plain type/token ratio falls with the length of the text; a mean over windows of one length does not. The sum
    needs no window to be visited: word number j is the first of its kind in exactly those windows that begin after its
    last occurrence before j and no more than `window` − 1 words before j.
    """
    n = len(words)
    if n < window:
        return MovingTypes(window=window)
    places = pl.DataFrame({"word": words}).with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
    before = places.select(pl.col("place").shift(1).over("word").fill_null(-1))["place"].to_numpy()
    here = np.arange(n)
    first = np.maximum(np.maximum(before + 1, here - window + 1), 0)
    last = np.minimum(here, n - window)
    return MovingTypes(int(np.maximum(last - first + 1, 0).sum()), n - window + 1, window)


def zipf_exponent(counts: np.ndarray) -> float | None:
    """The s of Zipf's law, count ∝ rank^−s, by least squares on logarithms; None for fewer than ten words seen twice.

    `counts` are sorted, the greatest first. Ranks are taken evenly on the logarithmic scale, so that the many rare words do
    not outvote the few common ones, and words seen once, whose line is a plateau, are left out.
    """
    ranked = counts[counts > 1]
    if len(ranked) < 10:
        return None
    ranks = np.unique(np.geomspace(1, len(ranked), 200).astype(int))
    slope, _ = np.polyfit(np.log(ranks), np.log(ranked[ranks - 1]), 1)
    return float(-slope)
