"""The decoder's step for one token a row, or a few, on a CPU, where generation spends its time.

With so few rows a step is bound by reading the weights from memory and by the number of calls, not by arithmetic.
So the matrices are copied into the layout in which they are read fastest, and the parts between them take few calls:
query and key norm, their gains, and the rotation become one normalisation and two products for all heads,

    rotate(g ⊙ x) = x ⊙ C + swap(x) ⊙ S,        C = g ⊙ (cos, cos),  S = swap(g) ⊙ (−sin, sin)

where swap exchanges the halves of a head, g is the norm's gain, and x is normalised. C and S of all blocks are made
once a step. The gain of a norm before a matrix goes into the columns of its copy, with the root of the width that the
mean of squares needs, so that a norm is  x / √(Σ x² + width · ε).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.layers.attention import attention
from inkstone.layers.feed_forward import SwiGLU
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.models.decoder import Block, Decoder
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.tokens.tokenizer import Tokenizer

Linear = Callable[[Tensor], Tensor]

MOST_ROWS = 32  # with more, the product is bound by arithmetic and the usual layout serves as well
MOST_TOKENS = 16  # of a row: a draft's guesses are checked so, while a prompt is read as it is in training
SHARE_OF_MEMORY = 0.25  # of the free memory, that copies of the weights may take


def spare_memory_for(model: Decoder | EncoderDecoder, bytes_a_weight: float = 4) -> bool:
    """Whether a second copy of its weights, by default in single precision, is small beside the memory that is free."""
    return bytes_a_weight * model.n_parameters() < SHARE_OF_MEMORY * psutil.virtual_memory().available


def prepared(weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None, rows: int) -> Linear:
    """The map x → x weightᵀ + bias for about so many rows of x, with its own copy of the weight."""
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    if rows > 1 and torch.backends.mkldnn.is_available():
        # Blocks as oneDNN reads them; the usual product would bring the weight into such an order at every call.
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        pointwise = torch.ops.mkldnn._linear_pointwise.default
        return lambda x: pointwise(x, packed, bias, "none", [], "")
    transposed = weight.t().contiguous()
    if bias is None:
        return lambda x: torch.mm(x, transposed)
    return lambda x: torch.addmm(bias, x, transposed)


@dataclass(frozen=True)
class PreparedBlock:
    """One block's matrices, the gains of its norms inside them."""

    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear

    @classmethod
    def of(cls, block: Block, rows: int) -> "PreparedBlock":
        """Copy the weights of a block."""
        assert isinstance(block.feed_forward, SwiGLU)
        return cls(
            _linear(block.qkv, rows, block.attention_norm),
            _linear(block.out, rows),
            _linear(block.feed_forward.gate_up, rows, block.feed_forward_norm),
            _linear(block.feed_forward.down, rows),
        )


class SingleToken:
    """A decoder with rotary positions that reads few tokens fast; longer texts go to the decoder itself."""

    def __init__(self, model: Decoder, rows: int):
        self.model = model
        self.settings = s = model.settings
        self.tokenizer: Tokenizer = model.tokenizer
        self.blocks = [PreparedBlock.of(block, rows) for block in model.blocks]  # type: ignore[arg-type]
        self.output = prepared(_with_gain(model.output_weight, model.norm), None, rows)
        self.normalised = s.layout == "qwen3"
        gains = torch.ones(s.n_layers, 1, s.n_heads + s.n_kv_heads, s.head_width)
        if self.normalised:
            for gain, block in zip(gains, model.blocks, strict=True):
                gain[:, : s.n_heads] = block.query_norm.weight.detach()  # type: ignore[union-attr]
                gain[:, s.n_heads :] = block.key_norm.weight.detach()  # type: ignore[union-attr]
            gains *= math.sqrt(s.head_width)
        self.gains = gains
        self.swapped_gains = gains.roll(s.head_width // 2, -1)

    def start(self, batch: int) -> KeyValueCache:
        """The decoder's own cache."""
        return self.model.start(batch)

    def step(
        self, ids: Int[Tensor, "b t"], state: KeyValueCache, last: bool = False
    ) -> tuple[Float[Tensor, "b t v"], KeyValueCache]:
        """As `Decoder.step`."""
        t = ids.shape[1]
        if t > MOST_TOKENS:
            return self.model.step(ids, state, last)
        s = self.settings
        b, turned, half = len(ids), s.n_heads + s.n_kv_heads, s.head_width // 2
        cos, sin = self.model.turn(state.length, t)
        straight = self.gains * torch.cat((cos, cos), -1)[:, None]  # of each layer (t, heads, width)
        crossed = self.swapped_gains * torch.cat((-sin, sin), -1)[:, None]
        x = F.embedding(ids.flatten(), self.model.embedding.weight)
        for layer, block in enumerate(self.blocks):
            heads = block.qkv(_normalised(x, s.norm_eps)).view(b, t, turned + s.n_kv_heads, s.head_width)
            qk = heads[:, :, :turned]
            if self.normalised:
                qk = _normalised(qk, s.norm_eps)
            qk = torch.addcmul(qk * straight[layer], qk.roll(half, -1), crossed[layer]).transpose(1, 2)
            k, v = state.extend(layer, qk[:, s.n_heads :], heads[:, :, turned:].transpose(1, 2))
            x = x + block.out(attention(qk[:, : s.n_heads], k, v).transpose(1, 2).reshape(b * t, -1))
            gate, up = block.gate_up(_normalised(x, s.norm_eps)).chunk(2, -1)
            x = x + block.down(F.silu(gate).mul_(up))
        state.length += t
        if last and t > 1:
            x = x.view(b, t, -1)[:, -1]
        return self.output(_normalised(x, s.norm_eps)).log_softmax(-1).view(b, -1, s.vocab_size), state


def _normalised(x: Float[Tensor, "*rows width"], eps: float) -> Float[Tensor, "*rows width"]:
    return x * x.square().sum(-1, keepdim=True).add_(x.shape[-1] * eps).rsqrt_()


def _with_gain(weight: Float[Tensor, "out in"], norm: nn.Module) -> Float[Tensor, "out in"]:
    return weight.detach() * (norm.weight.detach() * math.sqrt(weight.shape[1]))  # type: ignore[operator]


def _linear(module: nn.Linear, rows: int, norm: nn.Module | None = None) -> Linear:
    return prepared(module.weight if norm is None else _with_gain(module.weight, norm), module.bias, rows)
