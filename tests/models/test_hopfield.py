"""The energy of both networks never rises, the old one forgets beyond its capacity, the new one is attention."""

import math

import pytest
import torch

from inkstone.layers.attention import attention
from inkstone.models.hopfield import CAPACITY, continuous_energy, energy, recall, retrieve, store, sweep


def random_patterns(count: int, n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, (count, n), generator=generator).float() * 2 - 1


def damaged(patterns: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    return torch.where(torch.rand(patterns.shape, generator=generator) < share, -patterns, patterns)


def test_weights_by_hand():
    patterns = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])
    assert torch.equal(store(patterns) * 3, torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))


def test_a_part_brings_back_the_whole():
    generator = torch.Generator().manual_seed(0)
    patterns = random_patterns(8, 200, generator)
    assert torch.equal(recall(store(patterns), damaged(patterns, 0.2, generator), generator), patterns)


def test_energy_never_rises_and_recall_ends_in_a_minimum():
    generator = torch.Generator().manual_seed(1)
    weights = store(random_patterns(30, 100, generator)).double()
    states = random_patterns(20, 100, generator).double()
    for _ in range(10):
        after = sweep(weights, states, generator)
        assert (energy(weights, after) <= energy(weights, states) + 1e-12).all()
        states = after
    still = recall(weights, states, generator)
    for unit in range(100):
        turned = still.clone()
        turned[:, unit] *= -1
        assert (energy(weights, turned) >= energy(weights, still) - 1e-12).all()


def test_all_units_at_once_can_swing_for_ever():
    weights = torch.tensor([[0.0, -1.0], [-1.0, 0.0]])
    states = torch.tensor([[1.0, 1.0]])
    assert torch.equal((states @ weights).sign(), -states)
    generator = torch.Generator().manual_seed(0)
    assert sorted(recall(weights, states, generator)[0].tolist()) == [-1.0, 1.0]


def test_memory_ends_near_its_capacity():
    n, overlap = 500, {}
    for load in (0.8, 1.5):
        generator = torch.Generator().manual_seed(2)
        patterns = random_patterns(int(load * CAPACITY * n), n, generator)
        recalled = recall(store(patterns), patterns.clone(), generator)
        overlap[load] = float((recalled * patterns).mean())
    assert overlap[0.8] > 0.95 and overlap[1.5] < 0.6


def test_the_continuous_energy_never_rises_nor_falls_below_zero():
    generator = torch.Generator().manual_seed(3)
    patterns = torch.randn(20, 8, generator=generator, dtype=torch.float64)
    states = 3 * torch.randn(50, 8, generator=generator, dtype=torch.float64)
    for beta in (0.1, 1.0, 10.0):
        moving = states
        for _ in range(20):
            after = retrieve(patterns, moving, beta)
            before_energy, after_energy = (continuous_energy(patterns, s, beta) for s in (moving, after))
            assert (after_energy <= before_energy + 1e-12).all() and (after_energy >= 0).all()
            moving = after


def test_one_update_brings_back_more_patterns_than_there_are_dimensions():
    generator = torch.Generator().manual_seed(4)
    patterns = random_patterns(500, 64, generator)
    noisy = patterns + 0.5 * torch.randn(patterns.shape, generator=generator)
    assert torch.equal(retrieve(patterns, noisy, beta=2.0).sign(), patterns)


@pytest.mark.parametrize("d", [4, 64])
def test_the_update_is_attention(d):
    generator = torch.Generator().manual_seed(5)
    patterns, states = torch.randn(7, d, generator=generator), torch.randn(3, d, generator=generator)
    keys = patterns.expand(3, 1, 7, d)  # each state a query of its own, which sees all patterns
    attended = attention(states.view(3, 1, 1, d), keys, keys)
    torch.testing.assert_close(retrieve(patterns, states, beta=1 / math.sqrt(d)), attended.view(3, d))
