"""The Transformer decoder: a language model that reads left to right (Vaswani et al. 2017; Radford et al. 2018).

One file, three published layouts:

- "qwen3" (Yang et al. 2025), the default: RMSNorm before each part, rotary positions, grouped queries with normalised
  queries and keys, SwiGLU, no biases.
- "llama" (Touvron et al. 2023): the same without query/key normalisation.
- "gpt2" (Radford et al. 2019): LayerNorm, learned positions, GELU, biases everywhere.

Per block:  x ← x + W_o attention(norm(x)),   x ← x + feed_forward(norm(x)).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.attention import attention, inside_documents
from inkstone.layers.dropout import dropout
from inkstone.layers.feed_forward import GeluMLP, SwiGLU
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.layers.normalisation import LayerNorm, RMSNorm
from inkstone.layers.positions import places_in_documents
from inkstone.layers.quantised_matrix import QuantisedMatrix
from inkstone.layers.rotary import KeepsFrequencies, RotaryScaling, frequencies, rotate, rotation
from inkstone.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class DecoderSettings:
    """The shape of a decoder."""

    vocab_size: int
    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_width: int
    hidden: int  # inner width of the feed-forward network
    context: int  # longest text it was trained on, in tokens; a hard limit only for "gpt2"
    layout: Literal["qwen3", "llama", "gpt2"] = "qwen3"
    tied: bool = True  # the output matrix is the embedding
    norm_eps: float = 1e-6
    rotary_theta: float = 10_000.0
    rotary_scaling: RotaryScaling | None = None
    attention_bias: bool = False
    hidden_bias: bool = False
    dropout: float = 0.0

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "n_layers", "n_heads", "n_kv_heads", "head_width", "hidden", "context"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if self.n_heads % self.n_kv_heads:
            raise RecipeError(f"n_heads = {self.n_heads} is not a multiple of n_kv_heads = {self.n_kv_heads}")
        if self.layout != "gpt2" and self.head_width % 2:
            raise RecipeError(f"head_width = {self.head_width} is odd; rotary positions turn pairs, so it must be even")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "DecoderSettings":
        """The decoder of this width and depth; what is `given` of its fields stands, the rest follows from it."""
        width = given.get("width", width)
        gpt2 = given.get("layout") == "gpt2"
        n_heads = given.get("n_heads")
        head_width = given.get("head_width") or (width // n_heads if n_heads else (64 if width >= 128 else 32))
        n_heads = n_heads or max(1, width // head_width)
        if gpt2 and n_heads * head_width != width:
            raise RecipeError(
                f"the gpt2 layout wants width = n_heads · head_width, not {width} and {n_heads} · {head_width}"
            )
        follows = {
            "n_kv_heads": n_heads,
            "hidden": 4 * width if gpt2 else 32 * round(width * 8 / 3 / 32),
            "context": context_for(width),
            "norm_eps": 1e-5 if gpt2 else 1e-6,
        }
        given |= {"n_heads": n_heads, "head_width": head_width} | ({"n_kv_heads": n_heads} if gpt2 else {})
        return cls(**{"vocab_size": vocab_size, "width": width, "n_layers": n_layers, **follows, **given})

    def matrix_parameters(self) -> int:
        """Weights that each token is multiplied with: all matrices, the output one included, the look-up not."""
        attention = self.width * self.head_width * (2 * self.n_heads + 2 * self.n_kv_heads)
        feed_forward = self.width * self.hidden * (2 if self.layout == "gpt2" else 3)
        return self.n_layers * (attention + feed_forward) + self.vocab_size * self.width

    def flops_per_token(self, context: int | None = None) -> float:
        """Floating-point operations of one training step for each token: 6 for each weight, and causal attention.

        A product with a matrix costs 2 forward and 4 backward per weight (Kaplan et al. 2020, section 2.1);
        a query sees half of the context on average.
        """
        seen = (context or self.context) / 2
        return 6 * self.matrix_parameters() + 12 * self.n_layers * self.n_heads * self.head_width * seen


def context_for(width: int) -> int:
    """Tokens to be read at once: a wider model has learned enough of what is near to profit from what is far."""
    return 128 if width < 128 else 256 if width <= 512 else 512 if width <= 768 else 1024


def heads_for(width: int) -> int:
    """Attention heads that fill a width evenly, each of about 64 numbers (32 where the width is below 128).

    >>> [heads_for(width) for width in (64, 160, 224, 512)]
    [2, 2, 4, 8]
    """
    fewest = max(1, width // (64 if width >= 128 else 32))
    return next((n for n in range(fewest, width + 1) if width % (2 * n) == 0), 1)


class Block(nn.Module):
    """Attention, then feed-forward, each behind a norm and around a residual connection."""

    def __init__(self, settings: DecoderSettings, layer: int):
        super().__init__()
        s = self.settings = settings
        self.layer = layer
        gpt2 = s.layout == "gpt2"
        norm = LayerNorm if gpt2 else RMSNorm
        self.attention_norm = norm(s.width, s.norm_eps)
        # Queries, keys and values share one matrix product: n_heads + 2 n_kv_heads heads of rows, in this order.
        self.qkv = nn.Linear(s.width, (s.n_heads + 2 * s.n_kv_heads) * s.head_width, bias=gpt2 or s.attention_bias)
        self.out = nn.Linear(s.n_heads * s.head_width, s.width, bias=gpt2 or s.attention_bias)
        self.query_norm = RMSNorm(s.head_width, s.norm_eps) if s.layout == "qwen3" else None
        self.key_norm = RMSNorm(s.head_width, s.norm_eps) if s.layout == "qwen3" else None
        self.feed_forward_norm = norm(s.width, s.norm_eps)
        self.feed_forward = GeluMLP(s.width, s.hidden) if gpt2 else SwiGLU(s.width, s.hidden, s.hidden_bias)

    def forward(
        self,
        x: Float[Tensor, "b t width"],
        turn: tuple[Tensor, Tensor] | None,
        visible: Tensor | None,
        cache: KeyValueCache | None,
    ) -> Float[Tensor, "b t width"]:
        """One block; `turn` are the rotary cosines and sines of these positions."""
        q, k, v = self.heads(x, turn)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        mixed = attention(q, k, v, visible).transpose(1, 2).flatten(2)
        x = x + self._drop(self.out(mixed))
        return x + self._drop(self.feed_forward(self.feed_forward_norm(x)))

    def heads(
        self, x: Float[Tensor, "b t width"], turn: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "b h t d"], Float[Tensor, "b g t d"], Float[Tensor, "b g t d"]]:
        """Queries, keys and values of the block's input, as attention takes them."""
        s = self.settings
        b, t, _ = x.shape
        heads = self.qkv(self.attention_norm(x)).view(b, t, s.n_heads + 2 * s.n_kv_heads, s.head_width).transpose(1, 2)
        q, k, v = heads.split((s.n_heads, s.n_kv_heads, s.n_kv_heads), dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        return q, k, v

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.settings.dropout, self.training)


class Decoder(KeepsFrequencies):
    """A causal language model. `forward` gives the logits of training; `start` and `step` obey `LanguageModel`."""

    family: ClassVar[str] = "decoder"
    Settings: ClassVar = DecoderSettings

    def __init__(self, settings: DecoderSettings, tokenizer: Tokenizer):
        super().__init__()
        self.settings = settings
        self.tokenizer = tokenizer
        gpt2 = settings.layout == "gpt2"
        self.embedding = nn.Embedding(settings.vocab_size, settings.width)
        self.positions = nn.Embedding(settings.context, settings.width) if gpt2 else None
        self.blocks = nn.ModuleList(Block(settings, layer) for layer in range(settings.n_layers))
        self.norm = (LayerNorm if gpt2 else RMSNorm)(settings.width, settings.norm_eps)
        self.head = None if settings.tied else nn.Linear(settings.width, settings.vocab_size, bias=False)
        omega = frequencies(settings.head_width, settings.rotary_theta, settings.rotary_scaling)
        self.register_buffer("omega", omega, persistent=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "Decoder":
        """Draw fresh weights: matrices with standard deviation 1/√fan-in, those that end a residual branch zero.

        A block then begins as the identity (Zhang, Dauphin & Ma 2019), and depth costs no warm-up.
        """
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
            elif weight.dim() == 1:
                weight.fill_(1.0)
            elif name.endswith(("out.weight", "down.weight")):
                weight.zero_()
            elif name.endswith(("embedding.weight", "positions.weight", "head.weight")):
                weight.normal_(0, 0.02, generator=generator)
            else:
                weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)
        return self

    @property
    def output_weight(self) -> Float[Tensor, "v width"]:
        """The matrix that turns a hidden state into logits."""
        return self.embedding.weight if self.head is None else self.head.weight

    def n_parameters(self) -> int:
        """Numbers that training can change, or that were rounded after it; a tied matrix counts once."""
        quantised = (math.prod(m.shape) for m in self.modules() if isinstance(m, QuantisedMatrix))
        return sum(weight.numel() for weight in self.parameters()) + sum(quantised)

    def hidden(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "b t width"]:
        """The normalised states from which logits are made.

        `document` numbers the document of each position; attention stays inside it.
        """
        start = cache.starts if cache is not None else 0
        x = self.embedding(ids)
        turn = None
        if self.positions is None:
            turn = self.turn(start, ids.shape[1])
        else:
            places = places_in_documents(ids, document, start)
            read = cache.length if cache is not None else 0
            longest = read + ids.shape[1] if document is None else int(places.max()) + 1
            self.refuse_longer(longest)
            x = x + self.positions(places)
        visible = cache.visible if cache is not None else None
        if document is not None:
            visible = inside_documents(document)
        for block in self.blocks:
            x = block(x, turn, visible, cache)
        if cache is not None:
            cache.length += ids.shape[1]
        return self.norm(x)

    def refuse_longer(self, length: int) -> None:
        """Raise RecipeError for a text of so many tokens, where positions were learned for fewer."""
        if self.positions is not None and length > self.settings.context:
            raise RecipeError(
                f"{length} tokens, but this model has learned positions for "
                f"{self.settings.context}; give it a shorter text"
            )

    def turn(
        self, start: int | Int[Tensor, " b"], length: int
    ) -> tuple[Float[Tensor, "*rows t half"], Float[Tensor, "*rows t half"]]:
        """The rotary cosines and sines of positions start … start+length−1."""
        s, omega = self.settings, self.omega
        if s.rotary_scaling is None:
            return rotation(omega, start, length)
        if s.rotary_scaling.kind == "dynamic":
            # Each row by its own length, so that it does not depend on those beside it.
            starts = [start] if isinstance(start, int) else start.tolist()
            each = [frequencies(s.head_width, s.rotary_theta, s.rotary_scaling, length + first) for first in starts]
            omega = (each[0] if isinstance(start, int) else torch.stack(each)[:, None, None]).to(omega.device)
        cos, sin = rotation(omega, start, length)
        return cos * s.rotary_scaling.gain, sin * s.rotary_scaling.gain

    def forward(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Logits of the token after each position."""
        return F.linear(self.hidden(ids, document), self.output_weight)

    def start(self, batch: int) -> KeyValueCache:
        """An empty cache for `batch` rows."""
        return KeyValueCache(self.settings.n_layers, batch)

    def step(
        self, ids: Int[Tensor, "b t"], state: KeyValueCache, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], KeyValueCache]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the cache."""
        hidden = self.hidden(ids, cache=state)
        logits = F.linear(hidden[:, -1:] if last else hidden, self.output_weight)
        return logits.float().log_softmax(-1), state

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrices, each with the numbers of rows of the maps that are stacked in it."""
        s = self.settings
        heads = tuple(n * s.head_width for n in (s.n_heads, s.n_kv_heads, s.n_kv_heads))
        for name, weight in self.blocks.named_parameters(prefix="blocks"):
            if weight.dim() == 2:
                rows = {"qkv.weight": heads, "gate_up.weight": (s.hidden, s.hidden)}
                split = next((sizes for end, sizes in rows.items() if name.endswith(end)), (weight.shape[0],))
                yield name, weight, split
