"""Rotary positions (Su et al. 2021): a query and a key turn with their position, so that their product knows the distance.

Each head vector is read as d/2 pairs (xᵢ, xᵢ₊d/2); at position p the pair i turns by the angle p·θ^(−2i/d):

    x′ᵢ      = xᵢ cos(p ωᵢ) − xᵢ₊d/2 sin(p ωᵢ)
    x′ᵢ₊d/2  = xᵢ₊d/2 cos(p ωᵢ) + xᵢ sin(p ωᵢ),        ωᵢ = θ^(−2i/d)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class RotaryScaling:
    """Frequencies stretched for a context longer than the one first trained on.

    `kind` "linear" divides every frequency by `factor` (Chen et al. 2023). "llama3" divides only the slow ones:
    those whose wavelength is longer than `original_context / low`, with a ramp up to `original_context / high`
    (Llama 3.1 model card, 2024).
    """

    kind: str
    factor: float
    low: float = 1.0
    high: float = 4.0
    original_context: int = 8192


def frequencies(head_width: int, theta: float, scaling: RotaryScaling | None = None) -> Float[Tensor, " half"]:
    """The angle in radians by which each pair of a head turns per position."""
    # On the CPU whatever the default device: a model laid out on "meta" has its weights read later, but never these.
    omega = theta ** (-torch.arange(0, head_width, 2, dtype=torch.float64, device="cpu") / head_width)
    if scaling is not None and scaling.kind == "linear":
        omega = omega / scaling.factor
    elif scaling is not None and scaling.kind == "llama3":
        wavelength = 2 * math.pi / omega
        ramp = (scaling.original_context / wavelength - scaling.low) / (scaling.high - scaling.low)
        keep = ramp.clamp(0, 1)
        omega = keep * omega + (1 - keep) * omega / scaling.factor
    return omega.float()


class KeepsFrequencies(nn.Module):
    """A module with the buffer `omega`, which stays in single precision where weights are rounded, as to bfloat16.

    The eight bits of bfloat16 would turn far positions by other angles than the same model does when it is opened again.
    """

    omega: Float[Tensor, " half"]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "KeepsFrequencies":
        exact = self.omega
        super()._apply(fn, recurse)
        if self.omega.dtype.itemsize < torch.float32.itemsize:
            self.omega = exact.to(self.omega.device, torch.float32)
        return self


def rotation(
    omega: Float[Tensor, " half"], start: int | Int[Tensor, " b"], length: int
) -> tuple[Float[Tensor, "*rows t half"], Float[Tensor, "*rows t half"]]:
    """Cosines and sines of the angles at positions start … start+length−1; a start for each row gives (b, 1, t, half)."""
    positions = torch.arange(length, device=omega.device, dtype=torch.float32)
    if isinstance(start, int):
        positions = positions + start
    else:
        positions = positions + start[:, None, None]
    angles = positions[..., None] * omega
    return angles.cos(), angles.sin()


def rotate(
    x: Float[Tensor, "b h t d"], cos: Float[Tensor, "*rows t half"], sin: Float[Tensor, "*rows t half"]
) -> Float[Tensor, "b h t d"]:
    """Turn every head vector by the angles of its position.

    >>> cos, sin = rotation(frequencies(2, 10_000.0), 0, 2)
    >>> rotate(torch.tensor([1.0, 0.0]).expand(1, 1, 2, 2), cos, sin)[0, 0, 1]  # turned by one radian
    tensor([0.5403, 0.8415])
    """
    left, right = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)
