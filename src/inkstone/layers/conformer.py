"""The Conformer block (Gulati et al. 2020): attention sees the whole recording, a convolution what is near.

    x ← x + ½ FFN(x);   x ← x + attention(x);   x ← x + convolution(x);   x ← x + ½ FFN(x);   y = norm(x)

Each part normalises what it reads. The convolution is  W₂ silu(norm(depthwise(glu(W₁ x)))), its filters one a feature and `kernel`
positions wide. Unlike the published block it normalises by layer and not by batch, so that a recording is heard the same whatever
stands beside it, and has rotary positions in place of Transformer-XL's relative ones: both know distances alone.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from inkstone.layers.attention import attention
from inkstone.layers.dropout import dropout
from inkstone.layers.feed_forward import MLP
from inkstone.layers.normalisation import LayerNorm
from inkstone.layers.rotary import rotate


class ConformerConvolution(nn.Module):
    """The convolution of a block, over both sides of each position."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.into = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = LayerNorm(width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b t width"], valid: Bool[Tensor, "b t"]) -> Float[Tensor, "b t width"]:
        """Past the end of a recording there is nothing: zeros, as before its beginning."""
        x = F.glu(self.into(x), dim=-1) * valid[..., None].to(x)
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.out(F.silu(self.norm(x)))


class ConformerBlock(nn.Module):
    """One block."""

    def __init__(self, width: int, n_heads: int, hidden: int, kernel: int, dropout: float = 0.0):
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.first_norm, self.first = LayerNorm(width), MLP(width, hidden, "silu")
        self.attention_norm = LayerNorm(width)
        self.qkv, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.convolution_norm, self.convolution = LayerNorm(width), ConformerConvolution(width, kernel)
        self.last_norm, self.last = LayerNorm(width), MLP(width, hidden, "silu")
        self.norm = LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "b t width"], valid: Bool[Tensor, "b t"], turn: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "b t width"]:
        """`valid` says where each recording is, `turn` holds the rotary cosines and sines."""
        x = x + 0.5 * self._drop(self.first(self.first_norm(x)))
        x = x + self._drop(self._attend(self.attention_norm(x), valid, turn))
        x = x + self._drop(self.convolution(self.convolution_norm(x), valid))
        x = x + 0.5 * self._drop(self.last(self.last_norm(x)))
        return self.norm(x)

    def _attend(self, x: Tensor, valid: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        b, t, width = x.shape
        q, k, v = self.qkv(x).view(b, t, 3 * self.n_heads, -1).transpose(1, 2).chunk(3, dim=1)
        visible = None if bool(valid.all()) else valid[:, None, :].expand(b, t, t)
        seen = attention(rotate(q, *turn), rotate(k, *turn), v, visible, causal=False)
        return self.attended(seen.transpose(1, 2).reshape(b, t, width))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


@torch.no_grad()
def initialise_block(block: ConformerBlock, generator: torch.Generator) -> None:
    """Matrices and filters with deviation 1/√fan-in, biases zero, norms one."""
    for name, weight in block.named_parameters():
        if weight.dim() == 1:
            weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        else:
            weight.normal_(0, weight[0].numel() ** -0.5, generator=generator)
