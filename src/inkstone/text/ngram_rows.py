"""Texts, or pairs of texts, as rows of TF–IDF over n-grams.

    idf(w) = ln((1 + N) / (1 + n_w)) + 1                N texts, n_w of them with the n-gram w
    value(w, d) = (1 + ln count(w in d)) · idf(w)       each text's values divided by their Euclidean length

That is scikit-learn's TfidfVectorizer with `sublinear_tf`. N-grams of letters, where they are counted, are a text of their own beside
that of words and characters: there are so many of them that they would drown these. A pair is a row of four blocks: the n-grams of the first text, of
the second, and of both, each with an idf and a length of its own; and how many of their words the two share.
"""

from collections.abc import Sequence

import numpy as np

from inkstone.errors import TextError
from inkstone.text.ngrams import Kind, Line, NgramIndex, NgramSettings
from inkstone.text.sparse_rows import SparseRows, side_by_side

Text = str | Sequence[str]  # one text, or a pair of texts

SHARED = ("shared of all", "shared of the first", "shared of the second")


class NgramRows:
    """What makes rows of texts: the n-grams, and the idf of each block."""

    def __init__(self, index: NgramIndex, pairs: bool, idf: list[np.ndarray]) -> None:
        self.index, self.pairs, self.idf = index, pairs, idf

    @classmethod
    def learn(cls, texts: Sequence[Text], settings: NgramSettings) -> tuple["NgramRows", SparseRows]:
        """From the texts to learn from; and the rows of these."""
        pairs = are_pairs(texts)
        owners = np.tile(np.arange(len(texts)), 2 if pairs else 1)
        index, lines = NgramIndex.learn(sides(texts, pairs), owners, settings)
        rows = cls(index, pairs, [])
        counts, shared = rows._counts(lines, len(texts))
        rows.idf = [inverse_frequency(block) for block in counts]
        return rows, rows._weighed(counts, shared)

    @property
    def width(self) -> int:
        """Columns of a row."""
        return self.index.width * len(self.idf) + (len(SHARED) if self.pairs else 0)

    def names(self) -> list[str]:
        """What each column stands for."""
        names = self.index.names()
        if not self.pairs:
            return names
        return [f"{block}: {name}" for block in ("first", "second", "both") for name in names] + list(SHARED)

    def __call__(self, texts: Sequence[Text]) -> SparseRows:
        """Rows of texts. Raises TextError for pairs where single texts were learned, and the reverse."""
        if len(texts) and are_pairs(texts) != self.pairs:
            wanted, given = ("pairs of texts", "single texts")[:: 1 if self.pairs else -1]
            raise TextError(f"learned from {wanted}, and cannot read {given}; give {wanted}")
        lines = self.index.lines(sides(texts, self.pairs))
        return self._weighed(*self._counts(lines, len(texts)))

    def _counts(self, lines: dict[Kind, Line], n: int) -> tuple[list[SparseRows], np.ndarray]:
        if not self.pairs:
            return [self.index.counts(lines, n)], np.zeros((n, 0))
        counts = self.index.counts(lines, 2 * n)
        first, second = counts.chosen(np.arange(n)), counts.chosen(np.arange(n, 2 * n))
        return [first, second, of_both(first, second)], shares(lines, n)

    def _weighed(self, counts: list[SparseRows], shared: np.ndarray) -> SparseRows:
        letters = self.index.first_letters
        blocks = [weighed(block, idf, letters) for block, idf in zip(counts, self.idf, strict=True)]
        return side_by_side([*blocks, SparseRows.of_dense(shared)]) if self.pairs else blocks[0]


def inverse_frequency(counts: SparseRows) -> np.ndarray:
    """The idf of each column; 0 where no row has it, so that what was never seen has no share in a length."""
    having = np.bincount(counts.columns, minlength=counts.width)
    return np.where(having == 0, 0, np.log((1 + len(counts)) / (1 + having)) + 1)


def weighed(counts: SparseRows, idf: np.ndarray, letters: int) -> SparseRows:
    """TF–IDF of counts, each row at length one; what stands from the column `letters` on weighs as much as all before."""
    values = (1 + np.log(counts.values)) * idf[counts.columns]
    sides = 2 * counts.rows + (counts.columns >= letters)
    length = np.sqrt(np.bincount(sides, values**2, minlength=2 * len(counts)))
    values /= np.where(length == 0, 1, length)[sides]
    return SparseRows(counts.columns, values, counts.begins, counts.width).at_length_one()


def are_pairs(texts: Sequence[Text]) -> bool:
    """Whether these are pairs of texts. Raises TextError where some are and some are not."""
    pairs = [not isinstance(text, str) for text in texts]
    for number, (text, pair) in enumerate(zip(texts, pairs, strict=True), 1):
        if pair != pairs[0]:
            raise TextError(f"text {number} and text 1 are not both pairs or both single; give texts of one kind")
        if pair and len(text) != 2:
            raise TextError(f"text {number} has {len(text)} parts; a pair of texts has 2")
    return any(pairs)


def sides(texts: Sequence[Text], pairs: bool) -> list[str]:
    """All texts; of pairs all first ones, then all second ones."""
    return [pair[side] for side in (0, 1) for pair in texts] if pairs else [str(text) for text in texts]


def of_both(first: SparseRows, second: SparseRows) -> SparseRows:
    """The counts of what both rows have: the lower one of each two."""
    keys, mine, theirs = np.intersect1d(first.keys, second.keys, assume_unique=True, return_indices=True)
    return SparseRows.of_keys(keys, np.minimum(first.values[mine], second.values[theirs]), (len(first), first.width))


def shares(lines: dict[Kind, Line], n: int) -> np.ndarray:
    """How many words and characters both sides of each of n pairs have, as shares of `SHARED`: (n, 3).

    Those without a column count, too: that both sides have a name that no other text has says as much.
    """
    sizes, shared = np.zeros((n, 2)), np.zeros(n)
    for line in (lines["words"], lines["characters"]):
        base = int(line.units.max(initial=0)) + 1
        keys = np.unique(line.texts * base + line.units)
        end = np.searchsorted(keys, n * base)  # of the first sides
        first, second = keys[:end], keys[end:] - n * base
        for side, units in enumerate((first, second)):
            sizes[:, side] += np.bincount(units // base, minlength=n)
        shared += np.bincount(np.intersect1d(first, second, assume_unique=True) // base, minlength=n)
    of = np.stack([sizes.sum(axis=1) - shared, sizes[:, 0], sizes[:, 1]], axis=1)
    return shared[:, None] / np.maximum(of, 1)
