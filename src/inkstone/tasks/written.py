"""What every task shares whose answer is a text: an encoder-decoder reads one text and writes another, or a decoder goes on with it.

    p(written | source) = Πᵢ softmax(E h(first, written₁ … writtenᵢ₋₁; source))[writtenᵢ]        of an encoder-decoder
                          Πᵢ softmax(E h(source, end, written₁ … writtenᵢ₋₁))[writtenᵢ]          of a decoder

The loss is −log p of the right text, a token in the mean, with label smoothing (Szegedy et al. 2016): the right token is to have
1 − ε, and ε is spread over all. A decoder learns nothing of the source. The weights that are kept are those with the lowest loss on dev, without the smoothing. Answers are
found by beam search (`inference/writing.py`, `inference/continuing.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import RecipeError, TextError
from inkstone.inference.beam_search import Hypothesis
from inkstone.inference.constrained import Constraint
from inkstone.inference.continuing import continue_texts
from inkstone.inference.writing import write_texts
from inkstone.layers.cross_entropy import smoothed_nats
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.conversing import ids_of_texts
from inkstone.tasks.framing import Frame
from inkstone.tasks.task_settings import from_settings
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.tokenizer import Tokenizer

LONGER = 1.2  # than nearly all texts of the training part: as long a text may be written
NEARLY_ALL = 0.99
LEAST_WRITTEN = 8  # tokens
LEAST_READ = 0.25  # of a decoder's context, that is left for the source however long texts are written


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
    continues: bool = field(default=False)  # whether the body goes on with the source: a decoder

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

    def suit(self, family: str) -> None:
        """Take note of what kind of body will write."""
        self.continues = family == "decoder"

    def head(self) -> HeadSettings:
        """The body's own output."""
        return HeadSettings("next", dropout=0.0) if self.continues else HeadSettings("text")

    def texts(self, examples: Sequence[Pair]) -> list[str]:
        """What a body must hold at once: each side, which share their tokens; of a decoder both together."""
        if self.continues:
            return ["\n".join((example.source, *example.targets[:1])) for example in examples]
        return [text for example in examples for text in (example.source, *example.targets)]

    def tokens_needed(self, tokenizer: Tokenizer, examples: Sequence[Pair]) -> list[int]:
        """Tokens that the context must have for each: of a decoder the text, an end token, and the room to write in.

        That room is the longest text that may be written, for when the model is asked nobody knows how long it will be.
        """
        if not self.continues:
            return [len(ids) for ids in tokenizer.encode_batch(self.texts(examples))]
        sources = tokenizer.encode_batch([example.source for example in examples])
        targets = tokenizer.encode_batch(["".join(example.targets[:1]) for example in examples])
        written = [len(ids) + 1 for ids in targets]
        longest = most_written([each for each, example in zip(written, examples, strict=True) if example.targets])
        return [len(source) + 1 + max(own, longest) for source, own in zip(sources, written, strict=True)]

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a token, with smoothing."""
        each, row = self._nats_of_tokens(model, batch, self.smoothing)
        weight = batch.weight[row]
        return (each * weight).sum() / weight.sum()

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The nats of the tokens, summed, and their number."""
        each, _ = self._nats_of_tokens(model, batch, 0.0)
        return float(each.double().sum()), len(each)

    def _nats_of_tokens(
        self, model: Headed, batch: ExampleBatch, smoothing: float
    ) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
        """Those of each token that is to be written, and the example that it is of."""
        if self.continues:
            states, wanted, row = model.states_before(batch)
        else:
            assert batch.written is not None and batch.written_valid is not None
            wanted, row = batch.written[batch.written_valid], batch.written_valid.nonzero()[:, 0]
            if getattr(model.body.settings, "copying", False):
                logits = model.written_logits(batch)[batch.written_valid]
                return F.cross_entropy(logits, wanted, reduction="none", label_smoothing=smoothing), row
            states = model.written_states(batch)[batch.written_valid]
        return smoothed_nats(states, model.body.output_weight, wanted, smoothing), row

    @property
    def form(self) -> Constraint | None:
        """The form that all texts must have which are written."""
        return None

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Said]:
        """The likeliest text to each row."""
        write = continue_texts if self.continues else write_texts
        sources = asked_of_continuing(batch) if self.continues else _sources(batch)
        found = write(
            model.body, sources, max_tokens=self.most_tokens, beams=self.beams, alpha=self.length_penalty,
            no_repeat_ngram=self.no_repeat_ngram, constraint=self.form,
        )  # fmt: skip
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

    def inputs_of_pair(
        self, frame: Frame, source: Int[np.ndarray, " t"], target: Int[np.ndarray, " t"] | None
    ) -> Encoded:
        """The input of a source, and what is to be written of it where that is known."""
        return (
            continued_pair(frame, source, target, self.room(frame))
            if self.continues
            else encoded_pair(frame, source, target)
        )

    def room(self, frame: Frame) -> int:
        """Tokens of a source that fit: of a decoder into what is left beside the longest text that may be written."""
        if not self.continues:
            return source_room(frame)
        return max(int(LEAST_READ * frame.context), frame.context - len(frame.before) - 1 - self.longest)

    def learn_length(self, written: Sequence[Int[np.ndarray, " u"]], context: int) -> None:
        """How much may be written: a little more than nearly all texts of the training part have, and no more than the context.

        Only the first call counts.
        """
        if not self.longest:
            most = most_written([len(ids) for ids in written])
            self.longest = min(most, context // 2 if self.continues else context)


def most_written(lengths: Sequence[int]) -> int:
    """How many tokens may be written where the known texts have so many, their ends included; 0 where none is known."""
    return max(LEAST_WRITTEN, round(LONGER * float(np.quantile(lengths, NEARLY_ALL)))) if lengths else 0


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


def continued_pair(
    frame: Frame, source: Int[np.ndarray, " t"], target: Int[np.ndarray, " t"] | None, room: int
) -> Encoded:
    """A source of at most `room` tokens and an end token, then what a decoder is to go on with, cut to what fits."""
    end = frame.tokenizer.end
    read = [*frame.before, *source[:room].tolist(), end]
    written = [] if target is None else [*target[: frame.context - len(read) - 1].tolist(), end]
    answers = np.arange(len(read) + len(written)) >= len(read)
    return Encoded(np.array([*read, *written], dtype=np.int64), answers=answers, cut=len(source) > room)


def asked_of_continuing(batch: ExampleBatch) -> list[list[int]]:
    """The ids of each text of a packed batch, up to where it is to be written."""
    return [ids[: answers.index(True)] if any(answers) else ids for ids, answers in ids_of_texts(batch)]


def _sources(batch: ExampleBatch) -> list[list[int]]:
    lengths = batch.valid.sum(1).tolist()
    return [row[:length] for row, length in zip(batch.ids.tolist(), lengths, strict=True)]


def _around(frame: Frame) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of our tokenizers an end token after a text; of others what they put around one, and an end token at least."""
    if frame.tokenizer.kind != "foreign":
        return (), (frame.tokenizer.end,)
    return frame.before, frame.after or (frame.tokenizer.end,)
