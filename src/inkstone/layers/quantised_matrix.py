"""A matrix whose numbers are small integers, each with a scale for its neighbours.

    w ≈ s · (q − z)

With 8 bits q lies in −127 … 127 and z = 0, with one s for each row, which is one output of the product (as in Dettmers et al.
2022, section 2). With 4 bits q lies in 0 … 15, and each group of 32 neighbours in a row has its own s and z. z need not be an
integer: what is kept is the offset o = s · (8 − z), so that w ≈ s · (q − 8) + o.

A scale follows from the largest number it must reach. Of several ranges, each a little narrower than the last, the one stays
whose squared error is smallest: it may pay to cut off the one outlier for the sake of all others.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from inkstone.errors import RecipeError

BITS = (4, 8)
GROUP = 32  # numbers of a row that share a scale with 4 bits
NARROWEST = 4  # a row that is cut into smaller groups than this gains nothing over 8 bits
SHRUNK = {8: (1.0, 0.95, 0.9), 4: (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)}  # shares of the full range that are tried
AT_ONCE = 1 << 22  # numbers that are tried at once: what bounds the memory


class QuantisedMatrix(nn.Module):
    """An (n, k) matrix of integers with scales. With 4 bits a byte holds numbers i and i + group/2 of a group."""

    numbers: Integer[Tensor, "n ..."]  # int8 (n, k), or uint8 (n, groups, group/2)
    scale: Float[Tensor, "n ..."]  # (n), or (n, groups)
    offset: Float[Tensor, "n groups"] | None

    def __init__(self, n: int, k: int, bits: int):
        super().__init__()
        if bits not in BITS:
            raise RecipeError(f"{bits} bits, but a number can be rounded to 4 or 8")
        self.shape, self.bits = (n, k), bits
        if bits == 8:
            self.register_buffer("numbers", torch.zeros(n, k, dtype=torch.int8))
            self.register_buffer("scale", torch.ones(n))
            self.offset = None
        else:
            self.group = group_of(k)
            if not self.group:
                raise RecipeError(f"rows of {k} numbers cannot be cut into even groups of {NARROWEST} to {GROUP}")
            groups = k // self.group
            self.register_buffer("numbers", torch.zeros(n, groups, self.group // 2, dtype=torch.uint8))
            # In the format in which the processor's own kernel reads them, so that all ways of multiplying agree.
            self.register_buffer("scale", torch.ones(n, groups, dtype=torch.bfloat16))
            self.register_buffer("offset", torch.zeros(n, groups, dtype=torch.bfloat16))

    @classmethod
    @torch.no_grad()
    def of(cls, weight: Float[Tensor, "n k"], bits: int) -> "QuantisedMatrix":
        """The nearest such matrix to a weight, found a few rows at a time."""
        n, k = weight.shape
        matrix = cls(n, k, bits)
        rows = max(1, AT_ONCE // k)
        for begin in range(0, n, rows):
            matrix._fill(slice(begin, begin + rows), weight[begin : begin + rows].detach().float().cpu())
        return matrix.to(weight.device)

    def dense(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "n k"]:
        """The weights that it stands for."""
        return self._dense(self.numbers, self.scale, self.offset).to(dtype)

    def rows(self, ids: Int[Tensor, "*b"]) -> Float[Tensor, "*b k"]:
        """Some of its rows, in single precision (what an embedding looks up)."""
        flat = ids.flatten()
        offset = None if self.offset is None else self.offset[flat]
        return self._dense(self.numbers[flat], self.scale[flat], offset).view(*ids.shape, self.shape[1])

    def levels(self) -> Integer[Tensor, "n k"]:
        """Its integers q, one a number: from −127 with 8 bits, from 0 with 4."""
        if self.bits == 8:
            return self.numbers
        return torch.cat((self.numbers & 15, self.numbers >> 4), dim=2).flatten(1)

    def _dense(self, numbers: Tensor, scale: Tensor, offset: Tensor | None) -> Tensor:
        if offset is None:
            return numbers.float() * scale.float()[:, None]
        levels = torch.cat((numbers & 15, numbers >> 4), dim=2).float() - 8
        return (levels * scale.float()[:, :, None] + offset.float()[:, :, None]).flatten(1)

    def _fill(self, rows: slice, weight: Float[Tensor, "n k"]) -> None:
        if self.bits == 8:
            most = weight.abs().amax(1)
            scale, _, levels = _of_least_error(
                weight, [_scale_of(most * share / 127) for share in SHRUNK[8]], None, -127, 127
            )
            self.numbers[rows], self.scale[rows] = levels.to(torch.int8), scale
            return
        grouped = weight.unflatten(1, (-1, self.group))
        low, high = grouped.amin(2), grouped.amax(2)
        middle, reach = (low + high) / 2, (high - low) / 2
        # Not below what an offset is rounded by, which the levels then make up for.
        least = middle.abs() / 1024
        steps = [torch.maximum(2 * reach * share / 15, least) for share in SHRUNK[4]]
        scales = [_scale_of(step).bfloat16().float() for step in steps]
        # The levels 0 … 15 lie around 7.5, the offset at level 8.
        offsets = [(middle + step / 2).bfloat16().float() for step in steps]
        scale, offset, levels = _of_least_error(grouped, scales, offsets, -8, 7)
        levels = (levels + 8).to(torch.uint8)
        half = self.group // 2
        self.numbers[rows] = levels[:, :, :half] | (levels[:, :, half:] << 4)
        self.scale[rows], self.offset[rows] = scale.bfloat16(), offset.bfloat16()  # type: ignore[index]


class QuantisedLinear(nn.Module):
    """y = W x + b with a quantised W, which is made dense for each product: right on every device, fast on none."""

    def __init__(self, matrix: QuantisedMatrix, bias: Tensor | None = None):
        super().__init__()
        self.matrix = matrix
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    @property
    def weight(self) -> Float[Tensor, "n k"]:
        """The weights that it stands for."""
        return self.matrix.dense()

    def forward(self, x: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch n"]:
        """Apply to every position alike."""
        return F.linear(x, self.matrix.dense(x.dtype), self.bias)


class QuantisedEmbedding(nn.Module):
    """Rows of a quantised matrix by their numbers."""

    def __init__(self, matrix: QuantisedMatrix):
        super().__init__()
        self.matrix = matrix

    @property
    def weight(self) -> Float[Tensor, "n k"]:
        """The weights that it stands for."""
        return self.matrix.dense()

    def forward(self, ids: Int[Tensor, "*b"]) -> Float[Tensor, "*b k"]:
        """The row of each id."""
        return self.matrix.rows(ids)


def group_of(k: int) -> int:
    """How many neighbours of a row of k numbers share a scale; 0 where k cannot be cut evenly.

    >>> group_of(512), group_of(48), group_of(50)
    (32, 16, 0)
    """
    group = math.gcd(k, GROUP)
    return group if group >= NARROWEST else 0


def _scale_of(step: Tensor) -> Tensor:
    # Where all numbers are equal any scale will do, but not one by which nothing can be divided.
    return torch.where(step > 0, step, 1.0)


def _of_least_error(
    weight: Tensor, scales: list[Tensor], offsets: list[Tensor] | None, low: int, high: int
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Of these scales (and offsets) the best for each row or group, and its integers."""
    best: tuple[Tensor, Tensor | None, Tensor] | None = None
    least = torch.empty(0)
    for number, scale in enumerate(scales):
        offset = None if offsets is None else offsets[number]
        moved = weight if offset is None else weight - offset[..., None]
        levels = (moved / scale[..., None]).round_().clamp_(low, high)
        error = (levels * scale[..., None] - moved).square_().sum(-1)
        if best is None:
            best, least = (scale, offset, levels), error
            continue
        better = error < least
        least = torch.where(better, error, least)
        best = (
            torch.where(better, scale, best[0]),
            None if offset is None else torch.where(better, offset, best[1]),  # type: ignore[arg-type]
            torch.where(better[..., None], levels, best[2]),
        )
    assert best is not None
    return best
