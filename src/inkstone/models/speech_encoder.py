"""The encoder of speech: convolutions that halve the number of frames, and Conformer blocks over what is left.

    x = W vec(c₂(c₁(features)));   x ← block(x) in each of n blocks

cᵢ is a 3 × 3 convolution over time and bands with stride 2 and silu. With `subsampling` 4 both halve the frames, and a state stands
for 40 ms; with 2 the second leaves time as it is. A head of the kind "ctc" says of each state which token is spoken there, if any.
Source: Gulati et al. 2020, figure 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.conformer import ConformerBlock, initialise_block
from inkstone.layers.dropout import dropout
from inkstone.layers.rotary import KeepsFrequencies, frequencies, rotation
from inkstone.tokens.tokenizer import Tokenizer

HEAD_WIDTH = 32  # of attention, where the settings say nothing else
LONGEST = 3000  # frames that are heard at once: half a minute
THETA = 10_000.0
FRESH_RATE = 2e-3  # at width 128


@dataclass(frozen=True)
class SpeechEncoderSettings:
    """The shape of an encoder of speech."""

    vocab_size: int
    width: int
    n_layers: int
    n_heads: int
    hidden: int  # of the feed-forward networks
    channels: int  # of the convolutions before the blocks
    kernel: int = 15  # states that a convolution sees
    subsampling: int = 4  # frames for one state
    bins: int = 80  # bands of a frame
    dropout: float = 0.1

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "n_layers", "n_heads", "hidden", "channels", "bins"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if self.width % self.n_heads or (self.width // self.n_heads) % 2:
            raise RecipeError(
                f"n_heads = {self.n_heads}, but must leave of width {self.width} an even part to each head"
            )
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise RecipeError(f"kernel = {self.kernel}, but must be odd, so that it sees as much on both sides")
        if self.subsampling not in (2, 4):
            raise RecipeError(f"subsampling = {self.subsampling}, but must be 2 or 4")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout = {self.dropout}, but must be at least 0 and below 1")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "SpeechEncoderSettings":
        """The encoder of this width and depth."""
        shape = {"vocab_size": vocab_size, "width": width, "n_layers": n_layers} | given
        width = shape["width"]
        fitting = {"n_heads": max(1, width // HEAD_WIDTH), "hidden": 4 * width, "channels": max(8, width // 8)}
        return cls(**fitting | shape)


class SpeechEncoder(KeepsFrequencies):
    """A body for `Headed`: `listen` gives the states of recordings. It is no language model."""

    family: ClassVar[str] = "speech_encoder"
    Settings: ClassVar = SpeechEncoderSettings
    tokenizer_kind: ClassVar[str] = "character"
    longest_input: ClassVar[int] = LONGEST
    reads: ClassVar[str] = "frames"  # what `longest_input` counts
    fresh_optimizer: ClassVar[str] = "muon"  # from the start
    fresh_matrix_rate: ClassVar[float] = 0.01  # of Muon

    def __init__(self, settings: SpeechEncoderSettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        self.first = nn.Conv2d(1, s.channels, 3, stride=2, padding=1)
        self.second = nn.Conv2d(s.channels, s.channels, 3, stride=(s.subsampling // 2, 2), padding=1)
        bands = (s.bins + 3) // 4
        self.into = nn.Linear(s.channels * bands, s.width)
        self.blocks = nn.ModuleList(
            ConformerBlock(s.width, s.n_heads, s.hidden, s.kernel, s.dropout) for _ in range(s.n_layers)
        )
        self.register_buffer("omega", frequencies(s.width // s.n_heads, THETA), persistent=False)

    @property
    def fresh_rate(self) -> float:
        """The learning rate of AdamW, which takes all that is no matrix, from the start."""
        return FRESH_RATE * min(1.0, (128 / self.settings.width) ** 0.5)

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrices, each with the numbers of rows of the maps that are stacked in it."""
        for name, weight in self.blocks.named_parameters(prefix="blocks"):
            if weight.dim() == 2:
                maps = 3 if "qkv" in name else 2 if "convolution.into" in name else 1  # what passes, and its gate
                yield name, weight, (weight.shape[0] // maps,) * maps

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "SpeechEncoder":
        """Draw fresh weights: deviation √(2 / fan-in) before a silu, 1/√fan-in elsewhere."""
        for part in (self.first, self.second, self.into):
            gain = 1 if part is self.into else 2
            part.weight.normal_(0, (gain / part.weight[0].numel()) ** 0.5, generator=generator)
            assert part.bias is not None
            part.bias.zero_()
        for block in self.blocks:
            assert isinstance(block, ConformerBlock)
            initialise_block(block, generator)
        return self

    def states_of(self, lengths: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """How many states recordings of so many frames have."""
        half = (lengths + 1) // 2
        return (half + 1) // 2 if self.settings.subsampling == 4 else half

    def listen(
        self, features: Float[Tensor, "b t bins"], lengths: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b s width"], Int[Tensor, " b"]]:
        """The states of recordings of so many frames, and how many each has; frames past its end are not looked at."""
        s = self.settings
        x = features.to(self.into.weight.dtype) * _inside(lengths, features.shape[1])[..., None].to(self.into.weight)
        x = F.silu(self.first(x[:, None]))
        x = x * _inside((lengths + 1) // 2, x.shape[2])[:, None, :, None].to(x)
        x = F.silu(self.second(x))
        x = self.into(x.transpose(1, 2).flatten(2))
        x = dropout(x, s.dropout, self.training)
        heard = self.states_of(lengths)
        valid = _inside(heard, x.shape[1])
        turn = rotation(self.omega, 0, x.shape[1])
        for block in self.blocks:
            x = block(x, valid, turn)
        return x, heard


def _inside(lengths: Int[Tensor, " b"], places: int) -> Bool[Tensor, "b places"]:
    return torch.arange(places, device=lengths.device) < lengths[:, None]
