"""The shape of an encoder-decoder, and what it costs."""

from dataclasses import dataclass
from typing import Any

from inkstone.errors import RecipeError
from inkstone.layers.feed_forward import ACTIVATIONS
from inkstone.models.decoder import context_for, heads_for
from inkstone.tokens.span_corruption import SHARE

SMALL_VOCABULARY = 8192


@dataclass(frozen=True)
class EncoderDecoderSettings:
    """The shape of an encoder and a decoder of the same width."""

    vocab_size: int
    width: int
    n_layers: int  # of the encoder
    n_heads: int
    hidden: int  # inner width of the feed-forward networks
    context: int  # longest source and longest target it was trained on; a hard limit only for learned positions
    n_decoder_layers: int | None = None  # None: as many as the encoder has
    norm: str = "pre"  # or "post"
    positions: str = "sinusoidal"  # or "learned", "rotary"
    activation: str = "relu"  # or another of `layers/feed_forward.py`
    shared: bool = True  # source and target have one embedding
    tied: bool = True  # the output matrix is the target's embedding
    scaled: bool = True  # embeddings are multiplied by √width
    embedding_norm: bool = False  # a norm before the first block
    output_bias: bool = False
    copying: bool = False  # what is written may be taken from the source (`layers/copying.py`), where a task is learned
    n_sentinels: int = 100  # ids after the vocabulary, each standing for a span taken out
    first: int | None = None  # what the decoder reads first where that is not the end token
    norm_eps: float = 1e-5
    rotary_theta: float = 10_000.0
    dropout: float = 0.0

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "n_layers", "decoder_layers", "n_heads", "hidden", "context"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        allowed = {
            "norm": ("pre", "post"),
            "positions": ("sinusoidal", "learned", "rotary"),
            "activation": tuple(ACTIVATIONS),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise RecipeError(f"{name} = {getattr(self, name)!r}, but must be one of {', '.join(values)}")
        if self.width % self.n_heads:
            raise RecipeError(f"width = {self.width} is not a multiple of n_heads = {self.n_heads}")
        if self.positions == "rotary" and self.width // self.n_heads % 2:
            raise RecipeError(f"heads of width {self.width // self.n_heads}: rotary positions turn pairs; make it even")
        if self.positions == "sinusoidal" and self.width % 2:
            raise RecipeError(f"width = {self.width} is odd; sinusoids come in pairs, so it must be even")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "EncoderDecoderSettings":
        """The model of this width, and of this depth on either side; what is `given` stands, the rest follows from it.

        Half of the tokens go through the decoder alone, the others mostly through the encoder alone: a training step costs
        as much as that of a decoder of this width and depth, with twice the weights. A small vocabulary has an output matrix
        of its own, which learns what follows what sooner than one that is the embedding too.
        """
        width = given.get("width", width)
        follows = {
            "n_heads": heads_for(width),
            "hidden": 4 * width,
            "context": context_for(width),
            "tied": vocab_size > SMALL_VOCABULARY,
        }
        return cls(**{"vocab_size": vocab_size, "width": width, "n_layers": n_layers, **follows, **given})

    @property
    def decoder_layers(self) -> int:
        """Blocks of the decoder."""
        return self.n_layers if self.n_decoder_layers is None else self.n_decoder_layers

    def matrix_parameters(self) -> int:
        """Weights that a token of the target is multiplied with, keys and values of its memory left out."""
        return self.decoder_layers * self.width * (6 * self.width + 2 * self.hidden) + self.vocab_size * self.width

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step for each token, between the two ways of training.

        Of a text with spans taken out, the encoder reads what is left and the decoder spans and sentinels, for which it
        makes keys and values of all that was left.
        """
        left, written = 1 - SHARE * 2 / 3, SHARE * 4 / 3
        encoder = self.n_layers * self.width * (4 * self.width + 2 * self.hidden)
        memory = self.decoder_layers * 2 * self.width**2
        denoising = left * (encoder + memory) + written * self.matrix_parameters()
        looking = 6 * self.width * self.context * (self.decoder_layers / 2 + self.n_layers * left**2)
        return 3 * (self.matrix_parameters() + denoising) + looking
