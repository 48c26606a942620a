"""Whisper: an encoder reads half a minute of sound, a decoder writes what was said in it (Radford et al. 2022).

    x = gelu(conv₂(gelu(conv₁(features)))) + sinusoids        conv₂ takes every second place: a state is 20 ms
    p(tokenₜ₊₁ | sound, token₁ … tokenₜ) = softmax(E decoder(token₁ … tokenₜ; encoder(x)))

From there it is the Transformer of `encoder_decoder.py` with norms before each part, learned places in the decoder, and E tied.
What is written begins with tokens that say the language and what is to be done (`tokens/speech_tokens.py`). Between texts stand
times, each a token. It has no source but sound; the empty one is silence.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from inkstone.audio.whisper_features import FRAMES_A_SECOND, SILENCE
from inkstone.errors import RecipeError
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings, Memory
from inkstone.tokens.tokenizer import Tokenizer

KERNEL = 3
FRAMES_A_STATE = 2
STATES_A_SECOND = FRAMES_A_SECOND // FRAMES_A_STATE


@dataclass(frozen=True)
class WhisperSettings(EncoderDecoderSettings):
    """The shape of a Whisper: that of an encoder-decoder whose source is sound. `context` is the longest text."""

    positions: str = "learned"
    activation: str = "gelu"
    scaled: bool = False
    n_sentinels: int = 0
    bins: int = 80  # bands of the features
    source_context: int = 1500  # states of a window of sound: 20 ms each

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        super().__post_init__()
        if min(self.bins, self.source_context) < 1:
            raise RecipeError(f"bins = {self.bins}, source_context = {self.source_context}, but must be at least 1")
        if self.width % 2 or self.positions != "learned" or self.norm != "pre" or self.scaled:
            raise RecipeError(
                f"width = {self.width}, positions = {self.positions!r}, norm = {self.norm!r}, scaled = {self.scaled}; a Whisper "
                "has an even width, learned positions, norm pre, and embeddings as they are"
            )

    @property
    def frames(self) -> int:
        """Frames of a window, ten milliseconds each: 3,000 of the published models."""
        return FRAMES_A_STATE * self.source_context


class Whisper(EncoderDecoder):
    """A model of a text given a window of sound."""

    family: ClassVar[str] = "whisper"
    Settings: ClassVar = WhisperSettings

    def __init__(self, settings: WhisperSettings, tokenizer: Tokenizer):
        super().__init__(settings, tokenizer)
        s: Any = settings
        self.settings: WhisperSettings = s
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, s.width, KERNEL, stride, padding=1)
            for inputs, stride in ((s.bins, 1), (s.width, FRAMES_A_STATE))
        )
        # They are not learned, but checkpoints keep them.
        self.source_positions = nn.Embedding.from_pretrained(source_places(s.source_context, s.width), freeze=True)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "Whisper":
        """Draw fresh weights as an encoder-decoder does, the convolutions with standard deviation 1/√fan-in."""
        super().initialise(generator)
        for convolution in self.convolutions:
            convolution.weight.normal_(0, 1 / math.sqrt(KERNEL * convolution.weight.shape[1]), generator=generator)  # type: ignore[operator, union-attr, index]
        assert self.source_positions is not None
        self.source_positions.weight.copy_(source_places(self.settings.source_context, self.settings.width))
        return self

    def encode(self, source: Float[Tensor, "b bins frames"], document: None = None) -> Memory:
        """Read windows of features. Raises ValueError for windows of another length than the model's."""
        s = self.settings
        if source.shape[1:] != (s.bins, s.frames):
            raise ValueError(f"features of the shape {tuple(source.shape[1:])}; this model reads {(s.bins, s.frames)}")
        assert self.source_positions is not None and self.source_norm is not None
        x = source.to(self.embedding.weight.dtype)
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        x = x.transpose(1, 2) + self.source_positions.weight
        x = F.dropout(x, s.dropout, self.training) if s.dropout else x
        for block in self.encoder:
            x = block(x)
        return Memory(self.source_norm(x))

    def empty_source(self) -> Memory:
        """A window of silence."""
        silence = torch.full((1, self.settings.bins, self.settings.frames), SILENCE)
        return self.encode(silence.to(self.embedding.weight.device))


def source_places(states: int, width: int) -> Float[Tensor, "states width"]:
    """sin(p ωᵢ) and cos(p ωᵢ) side by side, ωᵢ = 10000^(−i / (width/2 − 1)): the slowest turns once in 2π 10000 states."""
    half = width // 2
    omega = torch.exp(-math.log(10_000) / max(1, half - 1) * torch.arange(half, dtype=torch.float64))
    angles = torch.arange(states, dtype=torch.float64)[:, None] * omega
    return torch.cat((angles.sin(), angles.cos()), dim=1).float()
