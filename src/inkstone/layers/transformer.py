"""The Transformer block of 2017: attention within the text, attention to another text, feed-forward (Vaswani et al.).

Each part stands in a residual connection, and the normalisation after it, as published, or before it (Xiong et al. 2020):

    post   x ← norm(x + part(x))
    pre    x ← x + part(norm(x))

Projections are of the whole width, for all heads at once, and the heads are slices of what comes out.
"""

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from inkstone.layers.attention import attention
from inkstone.layers.dropout import dropout
from inkstone.layers.feed_forward import MLP
from inkstone.layers.normalisation import LayerNorm
from inkstone.layers.rotary import rotate


class TransformerBlock(nn.Module):
    """One layer of an encoder, or with `cross` of a decoder that also attends to a memory."""

    def __init__(
        self,
        width: int,
        n_heads: int,
        hidden: int,
        *,
        activation: str,
        pre_norm: bool,
        norm_eps: float,
        dropout: float = 0.0,
        cross: bool = False,
    ):
        super().__init__()
        self.n_heads, self.pre_norm, self.dropout = n_heads, pre_norm, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.attention_norm = LayerNorm(width, norm_eps)
        if cross:
            self.cross_query = nn.Linear(width, width)
            self.cross_key_value = nn.Linear(width, 2 * width)
            self.cross_out = nn.Linear(width, width)
            self.cross_norm = LayerNorm(width, norm_eps)
        self.feed_forward = MLP(width, hidden, activation)
        self.feed_forward_norm = LayerNorm(width, norm_eps)

    def forward(
        self,
        x: Float[Tensor, "b t width"],
        *,
        turn: tuple[Tensor, Tensor] | None = None,
        visible: Bool[Tensor, "b t s"] | None = None,
        causal: bool = False,
        extend: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
        memory: tuple[Float[Tensor, "b h m d"], Float[Tensor, "b h m d"]] | None = None,
        memory_visible: Bool[Tensor, "b t m"] | None = None,
    ) -> Float[Tensor, "b t width"]:
        """One block. `turn`: rotary cosines and sines; `extend` puts cached keys and values before the new ones;
        `memory`: what `remember` made of the other text.
        """

        def within(x: Tensor) -> Tensor:
            q, k, v = self._queries_keys_values(x, turn)
            if extend is not None:
                k, v = extend(k, v)
            return self.out(self._joined(attention(q, k, v, visible, causal)))

        x = self._residual(x, within, self.attention_norm)
        if memory is not None:
            keys, values = memory

            def across(x: Tensor) -> Tensor:
                q = self.cross_heads(self.cross_query(x))
                return self.cross_out(self._joined(attention(q, keys, values, memory_visible, causal=False)))

            x = self._residual(x, across, self.cross_norm)
        return self._residual(x, self.feed_forward, self.feed_forward_norm)

    def heads(
        self, x: Float[Tensor, "b t width"], turn: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "b h t d"], Float[Tensor, "b h t d"], Float[Tensor, "b h t d"]]:
        """Queries, keys and values of the block's input, as attention within the text takes them."""
        return self._queries_keys_values(self.attention_norm(x) if self.pre_norm else x, turn)

    def cross_heads(self, queries: Float[Tensor, "b t width"]) -> Float[Tensor, "b h t d"]:
        """What `cross_query` gives, as attention to the other text takes it."""
        return self._heads(queries, 1)[0]

    def remember(self, states: Float[Tensor, "b m width"]) -> tuple[Float[Tensor, "b h m d"], Float[Tensor, "b h m d"]]:
        """Keys and values of the other text's states, which stay the same however much is read of this one."""
        keys, values = self._heads(self.cross_key_value(states), 2)
        return keys.contiguous(), values.contiguous()  # or each later product would lay them out anew

    def _queries_keys_values(self, x: Tensor, turn: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self._heads(self.qkv(x), 3)
        return (q, k, v) if turn is None else (rotate(q, *turn), rotate(k, *turn), v)

    def _residual(self, x: Tensor, part: Callable[[Tensor], Tensor], norm: nn.Module) -> Tensor:
        y = part(norm(x) if self.pre_norm else x)
        x = x + dropout(y, self.dropout, self.training)
        return x if self.pre_norm else norm(x)

    def _heads(self, x: Tensor, kinds: int) -> tuple[Tensor, ...]:
        b, t, _ = x.shape
        return x.view(b, t, kinds * self.n_heads, -1).transpose(1, 2).chunk(kinds, dim=1)

    @staticmethod
    def _joined(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)
