"""Draws from a fixed distribution over words at the cost of one random number, however many words there are."""

from dataclasses import dataclass

import numpy as np

POWER = 0.75  # of the counts: rare words are drawn more often than they occur, frequent ones less


@dataclass(frozen=True)
class AliasTable:
    """Cells of equal width, each shared by two words at most (Walker 1974; built as in Vose 1991).

    A number in cell i is word i below `threshold[i]`, else word `alias[i]`. Both arrays have a place for every word.
    """

    threshold: np.ndarray  # float64
    alias: np.ndarray  # int32

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Words drawn by one uniform number each."""
        place = generator.random(shape) * len(self.threshold)
        cell = place.astype(np.int64)
        return np.where(place - cell < self.threshold[cell], cell, self.alias[cell]).astype(np.int32)

    def probabilities(self) -> np.ndarray:
        """What the table draws, as a distribution over words."""
        shares = self.threshold.copy()
        np.add.at(shares, self.alias, 1 - self.threshold)
        return shares / len(shares)


def noise_table(counts: np.ndarray, power: float = POWER) -> AliasTable:
    """The distribution p(w) ∝ count(w)^power that negative samples are drawn from (Mikolov et al. 2013b)."""
    weights = counts.astype(np.float64) ** power
    scaled = weights * (len(weights) / weights.sum())
    threshold = np.ones(len(scaled))
    alias = np.arange(len(scaled), dtype=np.int32)
    small = [word for word in range(len(scaled)) if scaled[word] < 1]
    large = [word for word in range(len(scaled)) if scaled[word] >= 1]
    while small and large:
        less, more = small.pop(), large.pop()
        threshold[less], alias[less] = scaled[less], more
        scaled[more] -= 1 - scaled[less]
        (small if scaled[more] < 1 else large).append(more)
    return AliasTable(threshold, alias)
