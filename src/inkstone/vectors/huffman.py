"""The Huffman tree over the words: hierarchical softmax walks it from the root to a word."""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Paths:
    """The way to word w: inner nodes `points[starts[w]:starts[w + 1]]`, at each the turn `codes[...]`, 0 or 1."""

    points: np.ndarray  # int32, the root is the last inner node
    codes: np.ndarray  # float32
    starts: np.ndarray  # int64, one more than words


def huffman_paths(counts: np.ndarray) -> Paths:
    """The tree in which the mean length of the path of a running word is least (Huffman 1952).

    A tree over n words has n − 1 inner nodes; ties are decided by the order of the words.
    """
    n = len(counts)
    parent = np.zeros(2 * n, np.int64)
    turn = np.zeros(2 * n, np.float32)
    queue = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(queue)
    for node in range(n, 2 * n - 1):
        (first, left), (second, right) = heapq.heappop(queue), heapq.heappop(queue)
        parent[left] = parent[right] = node
        turn[right] = 1
        heapq.heappush(queue, (first + second, node))
    root = 2 * n - 2
    points: list[int] = []
    codes: list[float] = []
    starts = [0]
    for word in range(n):
        node, upward = word, []
        while node != root:
            upward.append((int(parent[node]) - n, float(turn[node])))
            node = int(parent[node])
        for point, code in reversed(upward):
            points.append(point)
            codes.append(code)
        starts.append(len(points))
    return Paths(np.array(points, np.int32), np.array(codes, np.float32), np.array(starts, np.int64))


NO_PATHS = Paths(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(1, np.int64))
