"""Dropout (Srivastava et al. 2014): while a model learns each number is left out by chance, and what is left grows to make up for it.

    y = x · m / (1 − p),        m is 0 with probability p, else 1, for each number by itself

On a CPU drawing the mask costs more than all else here, so that one draw of 64 bits decides over four numbers: p is met to 1/65536.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LEVELS = 1 << 16


def dropout(x: Float[Tensor, "..."], share: float, training: bool) -> Float[Tensor, "..."]:
    """`x` with a share of its numbers left out while `training`, by torch's own generator; else `x` itself."""
    if not (training and share):
        return x
    kept = round((1 - share) * LEVELS)
    if x.device.type != "cpu" or kept == LEVELS:
        return F.dropout(x, share)
    drawn = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    mask = drawn.view(torch.int16)[: x.numel()].view(x.shape) < kept - LEVELS // 2
    return x * mask.to(x.dtype).mul_(LEVELS / max(kept, 1))
