"""Three ways down a gradient g, written out: plain descent, momentum, Adam. They change the parameters in place.

    SGD:       w ← w − η g
    momentum:  m ← μ m + g                          w ← w − η m
    Adam:      m ← β₁ m + (1 − β₁) g                the mean of g
               v ← β₂ v + (1 − β₂) g²               the mean of g²
               w ← w − η m̂ / (√v̂ + ε)               m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ): both begin at 0

Sources: Robbins and Monro 1951; Polyak 1964; Kingma and Ba 2015. The training loop takes the faster ones of PyTorch and
`training/muon.py`; these are to be read, and equal to PyTorch's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Descent:
    """w ← w − η m, with m ← μ m + g; a momentum μ of 0 is plain stochastic gradient descent."""

    def __init__(self, parameters: Sequence[Tensor], rate: float, momentum: float = 0.0) -> None:
        self.parameters, self.rate, self.momentum = list(parameters), rate, momentum
        self.velocity = [torch.zeros_like(w) for w in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step, a gradient for each parameter."""
        for w, g, m in zip(self.parameters, gradients, self.velocity, strict=True):
            m.copy_(self.momentum * m + g)
            w -= self.rate * m


class Adam:
    """Steps of about η for every weight, however large its gradients are."""

    def __init__(
        self,
        parameters: Sequence[Tensor],
        rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters, self.rate, self.beta1, self.beta2, self.epsilon = list(parameters), rate, beta1, beta2, epsilon
        self.mean = [torch.zeros_like(w) for w in self.parameters]
        self.square = [torch.zeros_like(w) for w in self.parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step, a gradient for each parameter."""
        self.steps += 1
        for w, g, m, v in zip(self.parameters, gradients, self.mean, self.square, strict=True):
            m.copy_(self.beta1 * m + (1 - self.beta1) * g)
            v.copy_(self.beta2 * v + (1 - self.beta2) * g.square())
            unbiased_mean = m / (1 - self.beta1**self.steps)
            unbiased_square = v / (1 - self.beta2**self.steps)
            w -= self.rate * unbiased_mean / (unbiased_square.sqrt() + self.epsilon)
