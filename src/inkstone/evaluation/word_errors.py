"""Word and character error rates: the fewest words put in, left out or put in place of others, for each word that was said.

    WER = (substitutions + deletions + insertions) / words of the reference,     CER the same with characters

It may exceed 1. Chinese characters and kana are words of their own. Source: Levenshtein 1966; Morris, Maier & Green 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from inkstone.text.spoken import words_of


@dataclass(frozen=True)
class Edits:
    """The edits that make a reference of what was heard."""

    substitutions: int
    deletions: int
    insertions: int
    length: int  # of the reference

    @property
    def total(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions


def word_edits(reference: str, heard: str) -> Edits:
    """Edits of words.

    >>> word_edits("two four one", "two for one one")
    Edits(substitutions=1, deletions=0, insertions=1, length=3)
    >>> word_edits("研墨写字", "研磨写").total
    2
    """
    return edits(*([word.strip() for word in words_of(text) if word.strip()] for text in (reference, heard)))


def character_edits(reference: str, heard: str) -> Edits:
    """Edits of characters, blanks between words included.

    >>> character_edits("ink", "inn k").total
    2
    """
    return edits(list(reference), list(heard))


def edits(reference: Sequence[str], heard: Sequence[str]) -> Edits:
    """The fewest edits; of several ways to do with as few, one with the most substitutions."""
    numbers: dict[str, int] = {}
    left, right = (
        np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)
        for units in (reference, heard)
    )
    table = _distances(left, right)
    row, column = len(left), len(right)
    substitutions = deletions = insertions = 0
    while row or column:
        here = table[row, column]
        if row and column and here == table[row - 1, column - 1] + (left[row - 1] != right[column - 1]):
            substitutions += int(left[row - 1] != right[column - 1])
            row, column = row - 1, column - 1
        elif row and here == table[row - 1, column] + 1:
            deletions, row = deletions + 1, row - 1
        else:
            insertions, column = insertions + 1, column - 1
    return Edits(substitutions, deletions, insertions, len(left))


def _distances(left: Int[np.ndarray, " n"], right: Int[np.ndarray, " m"]) -> Int[np.ndarray, "n1 m1"]:
    """The edit distance of every beginning of the one to every beginning of the other, a row at a time."""
    columns = np.arange(len(right) + 1)
    table = np.empty((len(left) + 1, len(right) + 1), dtype=np.int64)
    table[0] = columns
    for row, unit in enumerate(left, 1):
        best = table[row - 1] + 1
        best[1:] = np.minimum(best[1:], table[row - 1, :-1] + (right != unit))
        # What is put in costs one a column: the least over all columns before, with their distance.
        table[row] = np.minimum.accumulate(best - columns) + columns
    return table
