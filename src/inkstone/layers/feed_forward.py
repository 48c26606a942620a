"""The position-wise feed-forward network: what each position computes on its own."""

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


class GeluMLP(nn.Module):
    """Two-layer feed-forward: y = W_down gelu(W_up x + b) + c, with the tanh form of GELU (Radford et al. 2019)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Apply to every position alike."""
        return self.down(F.gelu(self.up(x), approximate="tanh"))
