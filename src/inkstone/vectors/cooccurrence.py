"""How often each two words stand near each other, near ones counting more: what GloVe is fitted to."""

from dataclasses import dataclass

import numpy as np

from inkstone.vectors.corpus import Corpus

BLOCK_WORDS = 1 << 20


@dataclass(frozen=True)
class Cells:
    """The entries of the matrix that are not zero, one direction of each pair: `rows[i] <= columns[i]`."""

    rows: np.ndarray  # int32
    columns: np.ndarray  # int32
    weights: np.ndarray  # float32

    def __len__(self) -> int:
        return len(self.weights)


def cooccurrences(corpus: Corpus, window: int = 10) -> Cells:
    """X[a, b] = Σ 1/d over all places where a and b stand d ≤ `window` words apart, in either order (Pennington et al. 2014).

    X is symmetric; a word that stands near itself is counted from both sides, as in GloVe.c.
    """
    n = len(corpus.words)
    keys, weights = np.zeros(0, np.int64), np.zeros(0)
    piece_of = np.repeat(np.arange(corpus.n_pieces, dtype=np.int32), np.diff(corpus.starts))
    for begin in range(0, len(corpus.ids), BLOCK_WORDS):
        found_keys, found_weights = [keys], [weights]
        for distance in range(1, window + 1):
            end = min(begin + BLOCK_WORDS, len(corpus.ids) - distance)
            if end <= begin:
                break
            left, right = slice(begin, end), slice(begin + distance, end + distance)
            together = piece_of[left] == piece_of[right]
            first, second = corpus.ids[left][together], corpus.ids[right][together]
            pairs = np.minimum(first, second).astype(np.int64) * n + np.maximum(first, second)
            pairs, times = np.unique(pairs, return_counts=True)
            found_keys.append(pairs)
            found_weights.append(times / distance)
        keys, weights = _summed(np.concatenate(found_keys), np.concatenate(found_weights))
    rows, columns = (keys // n).astype(np.int32), (keys % n).astype(np.int32)
    return Cells(rows, columns, (weights * np.where(rows == columns, 2, 1)).astype(np.float32))


def _summed(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The keys once each, in order, and the sums of their weights."""
    if not len(keys):
        return keys, weights
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(weights, first)
