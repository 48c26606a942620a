"""Dynamic time warping: no other path costs less, of all that there are; and that of transformers, ties included."""

import numpy as np
import pytest
from transformers.models.whisper.generation_whisper import _dynamic_time_warping

from inkstone.inference.time_warping import warped


def cheapest(cost: np.ndarray) -> float:
    """The least total of all paths, by recursion."""

    def total(i: int, j: int) -> float:
        before = [total(i - a, j - b) for a, b in ((1, 1), (1, 0), (0, 1)) if i >= a and j >= b]
        return float(cost[i, j] + (min(before) if before else 0.0))

    return total(cost.shape[0] - 1, cost.shape[1] - 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (3, 5), (5, 4)])
def test_no_path_costs_less(shape):
    for seed in range(4):
        cost = np.random.default_rng(seed).normal(size=shape)
        rows, columns = warped(cost)
        steps = set(zip(np.diff(rows).tolist(), np.diff(columns).tolist(), strict=True))
        assert (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) == (0, 0, *shape)
        assert steps <= {(1, 1), (1, 0), (0, 1)}
        assert cost[rows, columns].sum() == pytest.approx(cheapest(cost))


def test_paths_are_those_of_transformers():
    generator = np.random.default_rng(0)
    for cost in (
        generator.normal(size=(7, 30)),
        generator.integers(0, 3, size=(9, 20)).astype(float),
        np.zeros((4, 6)),
    ):
        for ours, theirs in zip(warped(cost), _dynamic_time_warping(cost), strict=True):
            assert ours.tolist() == theirs.tolist()
