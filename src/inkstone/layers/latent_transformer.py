"""A Transformer that reads a text both ways, and one that writes a text with a latent vector as its memory.

In each block of the writer the latent vector becomes a key and a value that every position may attend to, as if it stood
before the first token; it is also added to the embeddings (Optimus, Li et al. 2020, section 3.1, its two ways together):

    x ← e + A z,    in block l:  K ← [Kₗ z; K],  V ← [Vₗ z; V]

Blocks are those of the decoder: RMSNorm before each part, rotary positions, SwiGLU.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from inkstone.layers.attention import attention
from inkstone.layers.feed_forward import SwiGLU
from inkstone.layers.normalisation import RMSNorm
from inkstone.layers.rotary import KeepsFrequencies, frequencies, rotate, rotation

THETA = 10_000.0


class LatentBlock(nn.Module):
    """Attention over the positions, and over what is put before them; then feed-forward."""

    def __init__(self, width: int, n_heads: int, hidden: int):
        super().__init__()
        self.n_heads, self.head_width = n_heads, width // n_heads
        self.attention_norm = RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.feed_forward_norm = RMSNorm(width)
        self.feed_forward = SwiGLU(width, hidden)

    def forward(
        self,
        x: Float[Tensor, "n t width"],
        turn: tuple[Tensor, Tensor],
        before: list[Tensor] | None,
        visible: Bool[Tensor, "n t s"] | None,
    ) -> tuple[Float[Tensor, "n t width"], list[Tensor]]:
        """`before` holds keys and values (n, heads, s − t, head width) that stand before. Without it the block looks both ways;
        with it, only back; and in either case only where `visible` allows. Returns also the keys and values of all.
        """
        n, t, width = x.shape
        heads = self.qkv(self.attention_norm(x)).view(n, t, 3 * self.n_heads, self.head_width).transpose(1, 2)
        q, k, v = heads.chunk(3, dim=1)
        q, k = rotate(q, *turn), rotate(k, *turn)
        if before is not None:
            k, v = torch.cat((before[0], k), dim=2), torch.cat((before[1], v), dim=2)
        mixed = attention(q, k, v, visible, causal=before is not None)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        return x + self.feed_forward(self.feed_forward_norm(x)), [k, v]


class TransformerReader(KeepsFrequencies):
    """Features of every position of a text, each knowing the whole text."""

    def __init__(self, width: int, n_layers: int, n_heads: int, hidden: int):
        super().__init__()
        self.blocks = nn.ModuleList(LatentBlock(width, n_heads, hidden) for _ in range(n_layers))
        self.norm = RMSNorm(width)
        self.register_buffer("omega", frequencies(width // n_heads, THETA), persistent=False)

    def forward(self, x: Float[Tensor, "n t width"], valid: Bool[Tensor, "n t"]) -> Float[Tensor, "n t width"]:
        """Nothing sees padding but padding itself."""
        turn = rotation(self.omega, 0, x.shape[1])
        visible = None if bool(valid.all()) else valid[:, :, None] == valid[:, None, :]
        for block in self.blocks:
            x, _ = block(x, turn, None, visible)
        return self.norm(x)


class TransformerWriter(KeepsFrequencies):
    """States from which the next tokens are foretold, the latent vector in front of every block's keys."""

    def __init__(self, width: int, n_layers: int, n_heads: int, hidden: int, latent: int):
        super().__init__()
        self.n_heads = n_heads
        self.to_input = nn.Linear(latent, width, bias=False)
        self.to_memory = nn.Linear(latent, 2 * n_layers * width)
        self.blocks = nn.ModuleList(LatentBlock(width, n_heads, hidden) for _ in range(n_layers))
        self.norm = RMSNorm(width)
        self.register_buffer("omega", frequencies(width // n_heads, THETA), persistent=False)

    def forward(
        self, x: Float[Tensor, "n t width"], z: Float[Tensor, "n latent"], memory: list[Tensor] | None
    ) -> tuple[Float[Tensor, "n t width"], list[Tensor]]:
        """Read on from `memory`, as `begin` and this function give it, or from the latent vector where there is none.

        A memory holds the keys and values of each block in turn, which of their places each row may see, and how many tokens
        each row has read since its latent vector.
        """
        visible, t = None, x.shape[1]
        if memory is None:
            memory = self.begin(z)
            turn = rotation(self.omega, 0, t)
        else:
            turn = rotation(self.omega, memory[-1], t)
            if not bool(memory[-2].all()):
                back = torch.ones(t, t, dtype=torch.bool, device=x.device).tril().expand(len(x), t, t)
                visible = torch.cat((memory[-2][:, None].expand(-1, t, -1), back), dim=2)
        x = x + self.to_input(z)[:, None]
        kept: list[Tensor] = []
        for layer, block in enumerate(self.blocks):
            x, keys_values = block(x, turn, memory[2 * layer : 2 * layer + 2], visible)
            kept += keys_values
        seen = torch.nn.functional.pad(memory[-2], (0, t), value=True)
        return self.norm(x), [*kept, seen, memory[-1] + t]

    def begin(self, z: Float[Tensor, "n latent"]) -> list[Tensor]:
        """The memory when nothing was read: the latent vector stands first."""
        first = self.to_memory(z).view(len(z), 2 * len(self.blocks), self.n_heads, 1, -1)
        seen = torch.ones((len(z), 1), dtype=torch.bool, device=z.device)
        return [*first.unbind(1), seen, torch.zeros(len(z), dtype=torch.long, device=z.device)]

    def restart(self, memory: list[Tensor], rows: Bool[Tensor, " n"], z: Float[Tensor, "n latent"]) -> list[Tensor]:
        """The memory with some rows at the beginning again: what they have read is out of sight, which none sees is let go."""
        seen = torch.cat((memory[-2] & ~rows[:, None], rows[:, None]), dim=1)
        first = int(seen.any(0).int().argmax())
        joined = [
            torch.cat((old, new), dim=2)[:, :, first:] for old, new in zip(memory[:-2], self.begin(z)[:-2], strict=True)
        ]
        return [*joined, seen[:, first:], memory[-1].masked_fill(rows, 0)]
