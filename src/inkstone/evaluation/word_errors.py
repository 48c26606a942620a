"""Word and character error rates: the fewest words put in, left out or put in place of others, for each word that was said.

    WER = (substitutions + deletions + insertions) / words of the reference,     CER the same with characters

It may exceed 1. Chinese characters and kana are words of their own. Source: Levenshtein 1966; Morris, Maier & Green 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
    """The fewest edits; of several ways to do with as few, one with the most substitutions.

    An edit costs w, a substitution w − 1, with w more than there can be substitutions: the least cost tells both numbers. One row of
    the table is held at a time, so that an hour of speech can be compared by its characters.
    """
    numbers: dict[str, int] = {}
    left, right = (
        np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)
        for units in (reference, heard)
    )
    whole = len(left) + len(right) + 1
    put_in = whole * np.arange(len(right) + 1)  # of all that stands before each column
    costs = put_in
    for unit in left:
        best = costs + whole
        best[1:] = np.minimum(best[1:], costs[:-1] + (whole - 1) * (right != unit))
        costs = np.minimum.accumulate(best - put_in) + put_in
    total = -(-int(costs[-1]) // whole)
    substitutions = total * whole - int(costs[-1])
    others, longer = total - substitutions, len(left) - len(right)
    return Edits(substitutions, (others + longer) // 2, (others - longer) // 2, len(left))
