import heapq

import numpy as np
from hypothesis import given, strategies as st

from inkstone.vectors.huffman import huffman_paths


def path_of(paths, word):
    steps = slice(paths.starts[word], paths.starts[word + 1])
    return paths.points[steps], paths.codes[steps]


def least_cost(counts):
    """Σ count · length of the best code, as the sum of all merges."""
    heap, cost = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        cost += merged
        heapq.heappush(heap, merged)
    return cost


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=60))
def test_no_code_is_shorter(counts):
    paths = huffman_paths(np.array(counts))
    lengths = np.diff(paths.starts)
    assert int(lengths @ np.array(counts)) == least_cost(counts)
    assert np.isclose((0.5 ** lengths.astype(float)).sum(), 1)
    assert set(paths.points.tolist()) == set(range(len(counts) - 1))


def test_the_probabilities_of_all_words_sum_to_one():
    """What makes it a softmax: at each inner node the two turns share the probability."""
    generator = np.random.default_rng(0)
    paths = huffman_paths(generator.integers(1, 100, 30))
    x, nodes = generator.normal(size=8), generator.normal(size=(29, 8))
    total = 0.0
    for word in range(30):
        points, codes = path_of(paths, word)
        right = 1 / (1 + np.exp(-nodes[points] @ x))
        total += np.prod(np.where(codes == 0, right, 1 - right))
    assert np.isclose(total, 1)
