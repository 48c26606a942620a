"""Words and their vectors: which lie near, how near two are, and which completes an analogy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inkstone.errors import InkstoneError, nearest


class UnknownWordError(InkstoneError):
    """A word that has no vector."""


@dataclass(frozen=True)
class WordVectors:
    """A vector for every word, most frequent first; `vectors` is (words, width) in float32."""

    words: list[str]
    vectors: np.ndarray

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.words) != len(self.vectors):
            raise InkstoneError(f"{len(self.words)} words need as many vectors, not an array of {self.vectors.shape}")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return self.find(word) is not None

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def unit(self) -> np.ndarray:
        """The vectors at length one, so that a product of two is their cosine; a zero vector stays zero."""
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return self.vectors / np.where(lengths == 0, 1, lengths)

    def find(self, word: str) -> int | None:
        """The row of a word as it is spelled or in lower case, or None."""
        row = self.index.get(word)
        return self.index.get(word.lower()) if row is None else row

    def row(self, word: str) -> int:
        """The row of a word. Raises UnknownWordError."""
        row = self.find(word)
        if row is None:
            hint = nearest(word, self.words) if len(self.words) <= 50_000 else ""
            hint = f"; {hint}" if hint.startswith("did you mean") else ""
            raise UnknownWordError(f"{word!r} is none of the {len(self):,} words that have a vector{hint}")
        return row

    def __getitem__(self, word: str) -> np.ndarray:
        return self.vectors[self.row(word)]

    def similarity(self, first: str, second: str) -> float:
        """The cosine of the angle between two words, from −1 to 1. Raises UnknownWordError."""
        return float(self.unit[self.row(first)] @ self.unit[self.row(second)])

    def neighbours(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words nearest to `word`, with their cosines, nearest first."""
        row = self.row(word)
        return self._nearest(self.unit[row], [row], count)

    def analogy(self, a: str, b: str, c: str, count: int = 1) -> list[tuple[str, float]]:
        """Words d for which a is to b as c is to d: the largest cosine of d with b − a + c at length one each.

        3CosAdd (Mikolov et al. 2013c). The three words themselves are left out, as they always are in this test: without
        that, the answer is mostly b or c.
        """
        rows = [self.row(word) for word in (a, b, c)]
        return self._nearest(self.unit[rows[1]] - self.unit[rows[0]] + self.unit[rows[2]], rows, count)

    def _nearest(self, vector: np.ndarray, without: Sequence[int], count: int) -> list[tuple[str, float]]:
        scores = self.unit @ (vector / max(float(np.linalg.norm(vector)), 1e-12))
        scores[list(without)] = -np.inf
        count = min(count, len(self) - len(set(without)))
        best = np.argsort(-scores, kind="stable")[: max(count, 0)]
        return [(self.words[row], float(scores[row])) for row in best]
