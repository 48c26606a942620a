"""Counts of very many keys in bounded memory (lossy counting, Manku and Motwani 2002, by the batch)."""

import polars as pl

MOST_KEYS = 4_000_000


class Tally:
    """Sums of counts by key; the rarest keys are forgotten when there are more than `most` of them.

    `missing` is the most by which any count may then be too low; a key that is not in the table was counted at most so
    often. It is 0, and every count exact, as long as nothing was forgotten.
    """

    def __init__(self, most: int = MOST_KEYS) -> None:
        self.most = most
        self.missing = 0
        self._waiting: list[pl.DataFrame] = []
        self._rows = 0

    def add(self, counts: pl.DataFrame) -> None:
        """Add a frame with the column `key`, a column `count`, and perhaps more columns of numbers."""
        self._waiting.append(counts)
        self._rows += len(counts)
        if self._rows > self.most:
            merged = self._merge()
            if len(merged) > self.most // 2:
                kept = merged["count"].top_k(self.most // 2).min()
                floor = int(kept)  # type: ignore[arg-type]
                merged = merged.filter(pl.col("count") > floor)
                self.missing += floor
            self._waiting, self._rows = [merged], len(merged)

    def table(self) -> pl.DataFrame:
        """All keys that are held, the most frequent first, equal counts in the order of their keys."""
        merged = self._merge().sort("count", "key", descending=[True, False])
        self._waiting, self._rows = [merged], len(merged)
        return merged

    def _merge(self) -> pl.DataFrame:
        if not self._waiting:
            return pl.DataFrame(schema={"key": pl.String, "count": pl.Int64})
        return pl.concat(self._waiting).group_by("key").sum()
