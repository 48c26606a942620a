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
    """Frequencies stretched for a context longer than the `original_context` that was first trained on.

    `kind` "linear" divides every frequency by `factor` (Chen et al. 2023). "llama3" divides only the slow ones:
    those whose wavelength is longer than `original_context / low`, with a ramp up to `original_context / high`
    (Llama 3.1 model card, 2024). "dynamic" raises θ with the length of a text that is longer than the original context
    ("NTK-aware", bloc97 and emozilla 2023). "yarn" (Peng et al. 2023) leaves pairs that turn `fast` times or more within the
    original context, divides those that turn less than `slow` times, with a ramp in the pairs between, and multiplies keys and
    queries by √t, here `attention_factor`: 0.1 ln(factor) + 1 where it is None.
    """

    kind: str
    factor: float
    low: float = 1.0
    high: float = 4.0
    original_context: int = 8192
    fast: float = 32.0
    slow: float = 1.0
    attention_factor: float | None = None
    whole_pairs: bool = True  # of "yarn": the ramp begins and ends at a pair, as published

    @property
    def fixed(self) -> bool:
        """Whether a turn follows from the position and `frequencies` alone, as programs take it that know no more."""
        return self.kind in ("linear", "llama3")

    @property
    def gain(self) -> float:
        """What cosines and sines are multiplied by; 1 for every kind but "yarn"."""
        if self.kind != "yarn":
            return 1.0
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * math.log(self.factor) + 1.0 if self.factor > 1 else 1.0


def frequencies(
    head_width: int, theta: float, scaling: RotaryScaling | None = None, length: int = 0
) -> Float[Tensor, " half"]:
    """The angle in radians by which each pair of a head turns per position; `length`: of the text, for "dynamic" alone."""
    # On the CPU whatever the default device: a model laid out on "meta" has its weights read later, but never these.
    pair = torch.arange(0, head_width, 2, dtype=torch.float64, device="cpu") / head_width
    if scaling is not None and scaling.kind == "dynamic" and length > scaling.original_context:
        theta = raised(theta, head_width, scaling.factor * length / scaling.original_context - (scaling.factor - 1))
    omega = theta**-pair
    if scaling is not None and scaling.kind == "linear":
        omega = omega / scaling.factor
    elif scaling is not None and scaling.kind == "llama3":
        wavelength = 2 * math.pi / omega
        ramp = (scaling.original_context / wavelength - scaling.low) / (scaling.high - scaling.low)
        keep = ramp.clamp(0, 1)
        omega = keep * omega + (1 - keep) * omega / scaling.factor
    elif scaling is not None and scaling.kind == "yarn":
        # The pair, as a number on the real line, that turns so many times within the original context.
        first, last = (
            head_width * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))
            for turns in (scaling.fast, scaling.slow)
        )
        if scaling.whole_pairs:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, head_width - 1)
        last = last + 0.001 if first == last else last
        divided = ((torch.arange(head_width // 2, device="cpu") - first) / (last - first)).clamp(0, 1)
        omega = divided * omega / scaling.factor + (1 - divided) * omega
    return omega.float()


def raised(theta: float, head_width: int, factor: float) -> float:
    """θ · factor^(d / (d − 2)): the slowest pair turns `factor` times more slowly, the fastest as before ("NTK-aware").

    >>> round(raised(10_000.0, 64, 4.0))
    41829
    """
    return theta * factor ** (head_width / (head_width - 2)) if head_width > 2 else theta * factor


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
    omega: Float[Tensor, "*each half"], start: int | Int[Tensor, " b"], length: int
) -> tuple[Float[Tensor, "*rows t half"], Float[Tensor, "*rows t half"]]:
    """Cosines and sines of the angles at positions start … start+length−1; a start for each row gives (b, 1, t, half).

    Rows that have frequencies of their own give them as (b, 1, 1, half).
    """
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
