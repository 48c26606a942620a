"""Dynamic time warping: the cheapest way through a matrix from one corner to the other, never back (Sakoe & Chiba 1978).

    total(i, j) = cost(i, j) + min(total(i−1, j−1), total(i−1, j), total(i, j−1))

Rows and columns are two sequences, and the path says which parts of them belong together.
"""

import numpy as np
from jaxtyping import Float, Int

BOTH, ROW, COLUMN = 0, 1, 2  # which index was one less before


def warped(cost: Float[np.ndarray, "n m"]) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]:
    """The rows and columns of the path with the least total, from (0, 0) to (n−1, m−1).

    Of ways that cost the same, one along the columns is taken. The cells of one diagonal depend on none of their own, so that they
    are computed at once.

    >>> [part.tolist() for part in warped(np.array([[0.0, 0.0, 9.0], [9.0, 9.0, 0.0]]))]
    [[0, 0, 1], [0, 1, 2]]
    """
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    came = np.full((n + 1, m + 1), BOTH, dtype=np.int8)
    came[0, :], came[:, 0] = COLUMN, ROW
    for diagonal in range(2, n + m + 1):
        rows = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        columns = diagonal - rows
        both, row, column = total[rows - 1, columns - 1], total[rows - 1, columns], total[rows, columns - 1]
        way = np.where((both < row) & (both < column), BOTH, np.where((row < both) & (row < column), ROW, COLUMN))
        came[rows, columns] = way
        total[rows, columns] = cost[rows - 1, columns - 1] + np.choose(way, (both, row, column))
    path = []
    i, j = n, m
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        way = came[i, j]
        i, j = i - (way != COLUMN), j - (way != ROW)
    rows, columns = np.array(path[::-1]).T
    return rows, columns
