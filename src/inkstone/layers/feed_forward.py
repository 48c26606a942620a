"""The position-wise feed-forward network: what each position computes on its own."""

from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SwiGLU(nn.Module):
    """Gated feed-forward: y = W_down (silu(W_gate x) ⊙ W_up x), silu(z) = z·σ(z) (Shazeer 2020).

    Gate and up share one matrix product: rows 0 … hidden−1 of `gate_up` are the gate.
    """

    def __init__(self, width: int, hidden: int, bias: bool = False):
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Apply to every position alike."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


ACTIVATIONS = {
    "relu": F.relu,  # Vaswani et al. 2017
    "gelu": F.gelu,  # z Φ(z), Φ the normal distribution function (Hendrycks & Gimpel 2016)
    "gelu-tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,  # z σ(z)
}


class MLP(nn.Module):
    """Two-layer feed-forward: y = W_down f(W_up x + b) + c, f one of `ACTIVATIONS` (Vaswani et al. 2017, section 3.3)."""

    def __init__(self, width: int, hidden: int, activation: str):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Apply to every position alike."""
        return self.down(self.activation(self.up(x)))


class GeluMLP(MLP):
    """The feed-forward network of GPT-2: with the tanh form of GELU (Radford et al. 2019)."""

    def __init__(self, width: int, hidden: int):
        super().__init__(width, hidden, "gelu-tanh")
