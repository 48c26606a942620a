"""One token a row through some blocks of a decoder, as plain tensor functions that a compiler can turn into few loops.

What `models/decoder.py` computes, for one token of each of b rows, with the keys and values of earlier tokens in a cache. Where
a compiler would compute a vector anew inside the product that reads it, `kept` makes it stay.

A matrix is a tuple of tensors, by its `kind`:

- "float32", "bfloat16": (w,), read row by row. So are "int8" (q, s) and "int4" (q, s, o), the fields of `QuantisedMatrix`; all
  numbers are made float32 on the way, and the product is exact but for rounding. This is for one row.
- "onednn-float32", "onednn-bfloat16": (w,) as oneDNN has packed it, in the type of its weights; for several rows.
- "onednn-int8": (q, s, z, 1, 0) as oneDNN has packed it; the rows that it multiplies are rounded to 8 bits as well, each with a
  scale of its own, and multiplied as integers.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkstone.layers.feed_forward import ACTIVATIONS
from inkstone.models.decoder import DecoderSettings

Matrix = tuple[Tensor, ...]
NEVER = -1e30


@dataclass(frozen=True)
class Kinds:
    """The kind of each matrix of a block, or of the output."""

    qkv: str
    out: str
    up: str  # of a gated network gate and up, one under the other
    down: str


class Blocks(nn.Module):
    """x of b rows through so many blocks. Writes keys and values of this token into the caches, which lie as (slots, g, capacity, d)."""

    def __init__(self, settings: DecoderSettings, kinds: Kinds, single: bool):
        super().__init__()
        self.settings, self.kinds, self.single = settings, kinds, single

    def forward(
        self,
        x: Tensor,
        slots: Tensor,
        lengths: Tensor,
        places: Tensor,
        omega: Tensor,
        keys: list[Tensor],
        values: list[Tensor],
        blocks: list[dict[str, Any]],
    ) -> Tensor:
        """x (b, width), slots and lengths (b), places 0 … the longest length − 1, and for each block its caches and weights."""
        s = self.settings
        angles = lengths[:, None].float() * omega
        turn = None if s.layout == "gpt2" else (kept(angles.cos()[:, None]), kept(angles.sin()[:, None]))
        hidden = None if self.single else (places >= lengths[:, None])[:, None, None]
        for own_keys, own_values, block in zip(keys, values, blocks, strict=True):
            x = self._block(x, slots, lengths, places.shape[0], turn, hidden, own_keys, own_values, block)
        return x

    def _block(self, x, slots, lengths, seen, turn, hidden, keys, values, weights) -> Tensor:
        s, kinds = self.settings, self.kinds
        b, h, g, d = x.shape[0], s.n_heads, s.n_kv_heads, s.head_width
        bias = weights.get
        x_normal = kept(normalised(x, weights["attention_norm"], s))
        heads = product(x_normal, weights["qkv"], kinds.qkv, bias("qkv_bias")).view(b, h + 2 * g, d)
        q, k, v = heads.split((h, g, g), 1)
        if s.layout == "qwen3":
            q, k = rms(q, weights["query_norm"], s.norm_eps), rms(k, weights["key_norm"], s.norm_eps)
        if turn is not None:
            q, k = turned(q, *turn), turned(k, *turn)
        q = kept(q * (1 / math.sqrt(d))).view(b, g, h // g, 1, d)
        k, v = kept(k.contiguous()), kept(v.contiguous())

        # What is read came before; the token itself stands beside it, so that the caches are written last.
        earlier_keys, earlier_values = keys[slots][:, :, :seen], values[slots][:, :, :seen]
        scores = (q * earlier_keys.float()[:, :, None]).sum(-1)
        if hidden is not None:
            scores = scores.masked_fill(hidden, NEVER)
        own = (q[..., 0, :] * k[:, :, None]).sum(-1, keepdim=True)
        highest = torch.maximum(scores.amax(-1, keepdim=True), own)
        shares, own = kept((scores - highest).exp()), (own - highest).exp()
        mixed = (shares[..., None] * earlier_values.float()[:, :, None]).sum(-2) + own * v[:, :, None]
        mixed = mixed / (shares.sum(-1, keepdim=True) + own)
        keys.index_put_((slots[:, None], torch.arange(g)[None], lengths[:, None]), k.to(keys.dtype))
        values.index_put_((slots[:, None], torch.arange(g)[None], lengths[:, None]), v.to(values.dtype))

        x = kept(x + product(kept(mixed.view(b, h * d)), weights["out"], kinds.out, bias("out_bias")))
        inner = product(kept(normalised(x, weights["norm"], s)), weights["up"], kinds.up, bias("up_bias"))
        if s.layout == "gpt2":
            inner = ACTIVATIONS["gelu-tanh"](inner)
        else:
            gate, inner = inner.chunk(2, -1)
            inner = F.silu(gate) * inner
        return kept(x + product(kept(inner), weights["down"], kinds.down, bias("down_bias")))


class Head(nn.Module):
    """Log-probabilities of the next token, of what the last block has made."""

    def __init__(self, settings: DecoderSettings, kind: str):
        super().__init__()
        self.settings, self.kind = settings, kind

    def forward(self, x: Tensor, norm: tuple[Tensor, ...], output: Matrix) -> Tensor:
        """x (b, width) to (b, v)."""
        return product(kept(normalised(x, norm, self.settings)), output, self.kind, None).log_softmax(-1)


def product(x: Tensor, matrix: Matrix, kind: str, bias: Tensor | None) -> Tensor:
    """x Wᵀ + b, in single precision."""
    if kind in ("onednn-float32", "onednn-bfloat16"):
        y = torch.ops.inkstone.packed_product(x.to(matrix[0].dtype), matrix[0]).float()
    elif kind == "onednn-int8":
        scale = kept(x.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127)
        levels = (x / scale).round().to(torch.int8)
        y = torch.ops.inkstone.packed_int8_product(levels, *matrix) * scale
    elif kind == "int8":
        y = (x * matrix[0].float()).sum(-1)[None] * matrix[1]
    elif kind == "int4":
        y = _product_of_4_bits(x, *matrix)[None]
    else:
        y = (x * matrix[0].float()).sum(-1)[None]
    return y if bias is None else y + bias


def _product_of_4_bits(x: Tensor, numbers: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Σ s (q − 8) x + Σ o x. The upper four bits are read as 16 q, and their x is a sixteenth: a shift would cost more."""
    groups, half = numbers.shape[1:]
    lower, upper = x.view(groups, 2, half).unbind(1)
    upper = kept(upper / 16)
    levels = (numbers & 15).float() * lower + (numbers & 240).float() * upper
    whole = (levels * scale.float()[:, :, None]).sum((-1, -2))
    sums = kept(x.view(groups, -1).sum(-1))
    return whole + ((offset.float() - 8 * scale.float()) * sums).sum(-1)


def normalised(x: Tensor, norm: tuple[Tensor, ...], s: DecoderSettings) -> Tensor:
    """LayerNorm where there is a bias beside the gain, else RMSNorm."""
    if len(norm) == 2:
        return F.layer_norm(x, (s.width,), norm[0], norm[1], s.norm_eps)
    return rms(x, norm[0], s.norm_eps)


def rms(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """x / √(mean of squares + ε), times the gain."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * gain


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, as `layers/rotary.py`."""
    left, right = x.chunk(2, -1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)


def kept(x: Tensor) -> Tensor:
    """x itself; a compiler stores what it is asked for by its strides, instead of computing it again at each use."""
    return x.as_strided(x.shape, x.stride())
