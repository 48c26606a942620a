"""An average of the weights over the last steps (Polyak & Juditsky 1992), with its start-up bias taken out.

A ← β A + (1 − β) W,     average = A / (1 − βᵗ)
"""

from collections.abc import Mapping

import torch
from torch import Tensor


class WeightAverage:
    """The exponential average of named weights, with `decay` β per step."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float):
        self.decay = decay
        self.sums = {name: torch.zeros_like(weight, requires_grad=False) for name, weight in weights.items()}
        self.mass = torch.zeros((), dtype=torch.float64)  # 1 − βᵗ

    @torch.no_grad()
    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after a step."""
        now = [weights[name].detach() for name in self.sums]
        torch._foreach_lerp_(list(self.sums.values()), now, 1 - self.decay)  # pyright: ignore[reportPrivateImportUsage]
        self.mass.lerp_(torch.ones((), dtype=torch.float64), 1 - self.decay)

    @torch.no_grad()
    def give(self, weights: Mapping[str, Tensor]) -> None:
        """Put the average into the weights."""
        if self.mass > 0:
            for name, total in self.sums.items():
                weights[name].copy_(total / float(self.mass))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {**self.sums, "mass": self.mass}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what a checkpoint kept."""
        for name, total in self.tensors.items():
            total.copy_(tensors[name])
