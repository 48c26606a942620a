"""Hopfield networks: memories that give back a whole pattern for a part of it. They are no language models.

The network of 1982 has n units s_i = ±1. Storing lays each pattern down as a valley of an energy, and recall rolls
downhill, one unit after the other:

    W = (1/n) Σ_p x_p x_pᵀ, with zeros on the diagonal        (Hebb's rule)
    E(s) = −½ sᵀ W s
    s_i ← sign((W s)_i), and as it was where that is 0        E never rises

It holds about 0.138 n random patterns; with more, none is recalled (Amit, Gutfreund and Sompolinsky 1985).

The modern network has continuous states ξ and patterns X = (x_1 … x_N), and a sharper energy:

    E(ξ) = −(1/β) ln Σ_p exp(β x_pᵀ ξ) + ½ ξᵀξ + (1/β) ln N + ½ max_p |x_p|²
    ξ ← Xᵀ softmax(β X ξ)                                     E never rises

That update is attention: ξ is the query, the patterns are keys and values, and β = 1/√d. It mostly arrives in one step, and
holds a number of patterns that grows exponentially with d.

Sources: Hopfield 1982, *Neural networks and physical systems with emergent collective computational abilities*; Ramsauer
et al. 2021, *Hopfield Networks is All You Need*.
"""

import torch
from jaxtyping import Float
from torch import Tensor

CAPACITY = 0.138  # random patterns a unit


def store(patterns: Float[Tensor, "p n"]) -> Float[Tensor, "n n"]:
    """The weights that hold patterns of ±1, by Hebb's rule."""
    weights = patterns.T @ patterns / patterns.shape[1]
    return weights.fill_diagonal_(0)


def energy(weights: Float[Tensor, "n n"], states: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """E(s) = −½ sᵀ W s of each state."""
    return -0.5 * ((states @ weights) * states).sum(dim=1)


def sweep(
    weights: Float[Tensor, "n n"], states: Float[Tensor, "b n"], generator: torch.Generator
) -> Float[Tensor, "b n"]:
    """Every unit once, in a random order, each seeing what the ones before it became.

    All at once would not do: the energy could rise, and states alternate for ever.
    """
    states = states.clone()
    for unit in torch.randperm(states.shape[1], generator=generator).tolist():
        field = states @ weights[:, unit]
        states[:, unit] = torch.where(field == 0, states[:, unit], field.sign())
    return states


def recall(
    weights: Float[Tensor, "n n"], states: Float[Tensor, "b n"], generator: torch.Generator, sweeps: int = 50
) -> Float[Tensor, "b n"]:
    """Sweeps until no unit changes (a minimum of the energy), at most so many."""
    for _ in range(sweeps):
        after = sweep(weights, states, generator)
        if torch.equal(after, states):
            break
        states = after
    return states


def continuous_energy(patterns: Float[Tensor, "p d"], states: Float[Tensor, "b d"], beta: float) -> Float[Tensor, " b"]:
    """The modern energy of each state; it is never below 0."""
    nearest = torch.logsumexp(beta * states @ patterns.T, dim=1) / beta
    longest = patterns.square().sum(dim=1).max()
    count = torch.tensor(float(len(patterns)), dtype=patterns.dtype)
    return -nearest + 0.5 * states.square().sum(dim=1) + count.log() / beta + 0.5 * longest


def retrieve(patterns: Float[Tensor, "p d"], states: Float[Tensor, "b d"], beta: float) -> Float[Tensor, "b d"]:
    """One update of the modern network: ξ ← Xᵀ softmax(β X ξ)."""
    return torch.softmax(beta * states @ patterns.T, dim=1) @ patterns
