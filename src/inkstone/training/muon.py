"""Muon: momentum whose matrix updates are orthogonalised (Jordan et al. 2024).

    M ← μ M + (1 − μ) G,     U = (1 − μ) G + μ M,     W ← (1 − η λ) W − η √max(1, rows/columns) · orthogonal(U)

orthogonal(U) has the singular vectors of U and all singular values near one, so that every direction of a matrix
learns equally fast. It comes from a few Newton–Schulz steps, X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X, which need only
matrix products. A stack of several maps in one matrix (queries, keys and values) is orthogonalised map by map,
and maps of equal shape go through together: on a CPU that is what makes the method affordable.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

# Jordan's quintic: singular values end between about 0.7 and 1.2, which serves as well as exactly one.
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalise(stack: Float[Tensor, "k m n"], iterations: int = 5, eps: float = 1e-7) -> Float[Tensor, "k m n"]:
    """The nearest semi-orthogonal matrix, roughly, to each of `k` matrices."""
    a, b, c = QUINTIC
    tall = stack.shape[1] > stack.shape[2]
    x = stack.mT if tall else stack
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(eps)
    for _ in range(iterations):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


@cache
def fast_format(device: str) -> torch.dtype:
    """bfloat16 where it multiplies faster: what is wanted are singular values of about one, and three digits serve for that."""
    short = device == "cuda" or (device == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if short else torch.float32


def orthogonalisation_work(rows: int, columns: int, iterations: int = 5) -> float:
    """Floating-point operations of orthogonalising one matrix: per step two products with X and one of the squares."""
    small, large = sorted((rows, columns))
    return iterations * (4 * small * small * large + 2 * small**3)


class Muon(torch.optim.Optimizer):
    """Muon for hidden matrices. Embeddings, norms and biases belong to another optimiser.

    `matrices` yields (parameter, rows of each map stacked in it), as `Decoder.matrices` tells.
    """

    def __init__(
        self,
        matrices: Iterable[tuple[torch.nn.Parameter, tuple[int, ...]]],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        iterations: int = 5,
    ):
        pairs = list(matrices)
        self.rows = {parameter: rows for parameter, rows in pairs}
        super().__init__(
            [parameter for parameter, _ in pairs],
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "iterations": iterations},
        )

    @torch.no_grad()
    def step(self, closure=None):
        """One update from the gradients that stand in the parameters."""
        for group in self.param_groups:
            learning = [weight for weight in group["params"] if weight.grad is not None]
            if not learning:
                continue
            for weight in learning:
                if not self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
            # All weights at once, since on a GPU a call for each would cost more than the sums.
            gradients = [weight.grad for weight in learning]
            momenta = [self.state[weight]["momentum"] for weight in learning]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])  # pyright: ignore
            updates = torch._foreach_lerp(gradients, momenta, group["momentum"])  # pyright: ignore
            stacks: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for weight, update in zip(learning, updates, strict=True):
                rows = self.rows[weight]
                for part, change in zip(weight.split(rows), update.split(rows), strict=True):
                    stacks[tuple(part.shape)].append((part, change))
            for (m, n), maps in stacks.items():
                stack = torch.stack([change for _, change in maps])
                changes = orthogonalise(stack.to(fast_format(stack.device.type)), group["iterations"]).to(stack.dtype)
                parts = [part for part, _ in maps]
                torch._foreach_mul_(parts, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore
                torch._foreach_add_(parts, list(changes.unbind()), alpha=-group["lr"] * max(1.0, m / n) ** 0.5)  # pyright: ignore
