"""Causal gated convolution (Dauphin, Fan, Auli & Grangier 2017).

    y_t = (Σ_j W_j x_{t−k+1+j} + b) ⊙ σ(Σ_j V_j x_{t−k+1+j} + c),   j = 0 … k − 1

Position t sees itself and the k − 1 positions before it, never one after it. With the plain half as it is, the gate
leaves the derivative a way without squashing.

Read in pieces, the state is the last k − 1 inputs of each convolution, zeros before anything was read.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class GatedConvolution(nn.Module):
    """A causal convolution of `kernel` positions whose outputs are gated."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        # One matrix product makes both halves: rows of the plain half, then of the gate; columns position by position.
        self.weight = nn.Parameter(torch.empty(2 * outputs, kernel * inputs))
        self.bias = nn.Parameter(torch.zeros(2 * outputs))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Normal with deviation 1/√fan-in, biases zero."""
        self.weight.normal_(0, 1 / math.sqrt(self.weight.shape[1]), generator=generator)
        self.bias.zero_()

    def forward(
        self,
        x: Float[Tensor, "b t m"],
        before: Float[Tensor, "b s m"],
        visible: Bool[Tensor, "b t k"] | None = None,
    ) -> tuple[Float[Tensor, "b t n"], Float[Tensor, "b s m"]]:
        """The outputs, and the last s = kernel − 1 inputs for what follows.

        before: the s inputs before x. visible: whether position t may see its k inputs, the oldest first
        (`visible_inputs`); what it may not see is zero to it.
        """
        windows, after = causal_windows(x, before, visible)
        return F.glu(F.linear(windows, self.weight, self.bias), dim=-1), after


def causal_windows(
    x: Float[Tensor, "b t m"], before: Float[Tensor, "b s m"], visible: Bool[Tensor, "b t k"] | None = None
) -> tuple[Float[Tensor, "b t km"], Float[Tensor, "b s m"]]:
    """For each position its own input behind the s = k − 1 before it, side by side; and the last s for what follows.

    A causal convolution is one matrix product with these: on a CPU as fast as torch's conv1d, and a mask is one product.

    >>> causal_windows(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.zeros(1, 1, 1))[0].tolist()
    [[[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]]
    """
    steps = before.shape[1]
    x = torch.cat((before, x), dim=1)
    windows = x.unfold(1, steps + 1, 1).transpose(2, 3)  # (b, t, k, m)
    if visible is not None:
        windows = windows * visible[..., None].to(x.dtype)
    return windows.flatten(2), x[:, x.shape[1] - steps :]


def visible_inputs(document: Int[Tensor, "b t"], kernel: int) -> Bool[Tensor, "b t k"]:
    """Whether each of the `kernel` positions that end in t lies in the document of t; none before the row does.

    >>> visible_inputs(torch.tensor([[1, 1, 2]]), 2).int().tolist()
    [[[0, 1], [1, 1], [0, 1]]]
    """
    none = document.new_full((len(document), kernel - 1), -1)
    return torch.cat((none, document), dim=1).unfold(1, kernel, 1) == document[..., None]
