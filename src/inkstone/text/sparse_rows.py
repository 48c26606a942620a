"""A sparse matrix by rows, as it is made of texts: few columns of very many are not 0 in a row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SparseRows:
    """Row i has values[begins[i] : begins[i + 1]] in columns[begins[i] : begins[i + 1]], and 0 elsewhere."""

    columns: np.ndarray  # int64 (entries)
    values: np.ndarray  # float64 (entries)
    begins: np.ndarray  # int64 (rows + 1)
    width: int  # columns that there are

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> "SparseRows":
        """From entries in any order, one for each row and column at most."""
        keys = rows * shape[1] + columns
        order = np.argsort(keys, kind="stable")
        return cls.of_keys(keys[order], values[order], shape)

    @classmethod
    def of_keys(cls, keys: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> "SparseRows":
        """From entries in order; the key of an entry is row · width + column."""
        rows, columns = np.divmod(keys, max(shape[1], 1))
        begins = np.searchsorted(rows, np.arange(shape[0] + 1))
        return cls(columns, np.asarray(values, dtype=np.float64), begins, shape[1])

    @classmethod
    def of_dense(cls, table: np.ndarray) -> "SparseRows":
        """The entries of a table that are not 0."""
        rows, columns = np.nonzero(table)
        return cls.of(rows, columns, table[rows, columns], table.shape)

    def __len__(self) -> int:
        return len(self.begins) - 1

    @property
    def rows(self) -> np.ndarray:
        """The row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.begins))

    @property
    def keys(self) -> np.ndarray:
        """row · width + column of each entry, ascending."""
        return self.rows * self.width + self.columns

    def dense(self) -> np.ndarray:
        """As a table."""
        table = np.zeros((len(self), self.width))
        table[self.rows, self.columns] = self.values
        return table

    def transposed(self) -> "SparseRows":
        """Columns as rows."""
        return SparseRows.of(self.columns, self.rows, self.values, (self.width, len(self)))

    def at_length_one(self) -> "SparseRows":
        """Each row divided by its Euclidean length; a row of zeros stays."""
        length = np.sqrt(np.bincount(self.rows, self.values**2, minlength=len(self)))
        values = self.values / np.where(length == 0, 1, length)[self.rows]
        return SparseRows(self.columns, values, self.begins, self.width)

    def chosen(self, rows: Sequence[int] | np.ndarray) -> "SparseRows":
        """Some of the rows, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = np.diff(self.begins)[rows]
        begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.arange(begins[-1]) + np.repeat(self.begins[rows] - begins[:-1], lengths)
        return SparseRows(self.columns[entries], self.values[entries], begins, self.width)


def side_by_side(blocks: Sequence[SparseRows]) -> SparseRows:
    """Matrices of as many rows beside each other: the columns of the first, then those of the second, ..."""
    begins = np.cumsum([0, *(block.width for block in blocks)])
    return SparseRows.of(
        np.concatenate([block.rows for block in blocks]),
        np.concatenate([block.columns + begin for block, begin in zip(blocks, begins, strict=False)]),
        np.concatenate([block.values for block in blocks]),
        (len(blocks[0]), int(begins[-1])),
    )
