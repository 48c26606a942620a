"""What every task shares whose answer is a text: an encoder-decoder reads one text and writes another.

    p(written | source) = Πᵢ softmax(E h(first, written₁ … writtenᵢ₋₁; source))[writtenᵢ]

The loss is −log p of the right text, a token in the mean, with label smoothing (Szegedy et al. 2016): the right token is to have
1 − ε, and ε is spread over all. The weights that are kept are those with the lowest loss on dev, without the smoothing. Answers are
found by beam search (`inference/writing.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import RecipeError, TextError
from inkstone.inference.beam_search import Hypothesis
from inkstone.inference.writing import write_texts
from inkstone.layers.cross_entropy import smoothed_nats
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.framing import Frame
from inkstone.tasks.task_settings import from_settings
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.tokenizer import Tokenizer

LONGER = 1.2  # than nearly all texts of the training part: as long a text may be written
NEARLY_ALL = 0.99
LEAST_WRITTEN = 8  # tokens


@dataclass(frozen=True)
class Pair:
    """A text, and what is to be written of it; empty where that is not known. Where one may be written in several ways, all."""

    place: str
    source: str
    targets: tuple[str, ...] = ()
    group: str | None = None

    @property
    def text(self) -> str:
        """What is read."""
        return self.source


@dataclass(frozen=True)
class Said:
    """What is written of one input, and the logarithm of how likely it is."""

    text: str
    log_chance: float
    tokens: int


@dataclass
class WritingSettings:
    """The settings that tasks which write have in common, and what they learn of the training part."""

    source_column: str | None = None
    target_column: str | None = None
    beams: int = 4  # texts under way at a time; 1: always the likeliest next token
    length_penalty: float = 0.6  # the exponent of Wu et al. 2016: more of it, longer texts
    no_repeat_ngram: int = 0  # so many tokens may not stand twice in what is written; 0: they may
    smoothing: float = 0.1  # ε of the loss
    longest: int = field(default=0)  # tokens that may be written; 0: not learned yet

    name: ClassVar[str]
    score: ClassVar[str]
    key: ClassVar[str]  # of what is written, in an answer
    body: ClassVar[str] = "encoder_decoder"
    body_settings: ClassVar[Mapping[str, Any]] = {}
    labels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold."""
        for setting, least in (("beams", 1), ("length_penalty", 0), ("no_repeat_ngram", 0), ("smoothing", 0)):
            if getattr(self, setting) < least:
                raise RecipeError(f"task.{setting} = {getattr(self, setting)}, but must be at least {least}")
        if self.smoothing >= 1:
            raise RecipeError(f"task.smoothing = {self.smoothing}, but must be below 1")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def learn(self, examples: Sequence[Pair]) -> None:
        """Raises TextError where nothing is to be written of any text."""
        if not any(example.targets for example in examples):
            raise TextError(
                "no text of the training part has one that is to be written of it; there is nothing to learn"
            )

    def head(self) -> HeadSettings:
        """The body's own output."""
        return HeadSettings("text")

    def texts(self, examples: Sequence[Pair]) -> list[str]:
        """Both sides, which share their tokens."""
        return [text for example in examples for text in (example.source, *example.targets)]

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a token, with smoothing."""
        assert batch.written_valid is not None
        each = self._nats_of_tokens(model, batch, self.smoothing)
        weight = batch.weight[:, None].expand_as(batch.written_valid)[batch.written_valid]
        return (each * weight).sum() / weight.sum()

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The nats of the tokens, summed, and their number."""
        each = self._nats_of_tokens(model, batch, 0.0)
        return float(each.double().sum()), len(each)

    def _nats_of_tokens(self, model: Headed, batch: ExampleBatch, smoothing: float) -> Float[Tensor, " n"]:
        assert batch.written is not None and batch.written_valid is not None
        states = model.written_states(batch)[batch.written_valid]
        return smoothed_nats(states, model.body.output_weight, batch.written[batch.written_valid], smoothing)

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Said]:
        """The best text of each row."""
        lengths = batch.valid.sum(1).tolist()
        sources = [row[:length] for row, length in zip(batch.ids.tolist(), lengths, strict=True)]
        found = write_texts(
            model.body,
            sources,
            max_tokens=self.most_tokens,
            beams=self.beams,
            alpha=self.length_penalty,
            no_repeat_ngram=self.no_repeat_ngram,
        )
        tokenizer = model.tokenizer
        return [
            self.said(tokenizer, self.best(source, each, tokenizer))
            for source, each in zip(sources, found, strict=True)
        ]

    def best(self, source: Sequence[int], found: Sequence[Hypothesis], tokenizer: Tokenizer) -> Hypothesis:
        """The one that is taken of the texts that were found, the likeliest first."""
        return found[0]

    def most_tokens(self, source: int) -> int:
        """How many may be written of a source of so many tokens."""
        return self.longest or 2 * source

    def said(self, tokenizer: Tokenizer, hypothesis: Hypothesis) -> Said:
        """What is written, as text."""
        text = tokenizer.decode(hypothesis.ids).strip()
        return Said(text, float(sum(hypothesis.log_probabilities)), len(hypothesis.ids))

    def learn_length(self, written: Sequence[Int[np.ndarray, " u"]], context: int) -> None:
        """How much may be written: a little more than nearly all texts of the training part have, and no more than the context.

        Only the first call counts.
        """
        if not self.longest:
            lengths = [len(ids) for ids in written]
            most = max(LEAST_WRITTEN, round(LONGER * float(np.quantile(lengths, NEARLY_ALL)))) if lengths else 0
            self.longest = min(most, context)


def source_room(frame: Frame) -> int:
    """Tokens of a text that fit into the context."""
    before, after = _around(frame)
    return max(1, frame.context - len(before) - len(after))


def written_ids(frame: Frame, ids: Int[np.ndarray, " t"]) -> Int[np.ndarray, " u"]:
    """A text as the model reads or writes it, with an end token after it, cut to what fits."""
    before, after = _around(frame)
    return np.concatenate((before, ids[: source_room(frame)], after)).astype(np.int64)


def encoded_pair(frame: Frame, source: Int[np.ndarray, " t"], target: Int[np.ndarray, " t"] | None) -> Encoded:
    """The input of a source, and what is to be written of it where that is known."""
    written = None if target is None else written_ids(frame, target)
    return Encoded(written_ids(frame, source), written=written, cut=len(source) > source_room(frame))


def _around(frame: Frame) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of our tokenizers an end token after a text; of others what they put around one, and an end token at least."""
    if frame.tokenizer.kind != "foreign":
        return (), (frame.tokenizer.end,)
    return frame.before, frame.after or (frame.tokenizer.end,)
