"""A body that reads, and a head that answers: what every task is solved with.

The body is any model that turns tokens into states: an encoder, which sees both sides of each token, or a decoder, recurrent
or convolutional model, which sees what stands before it. The head makes of the states what the task asks for:

    class    one vector of scores for the whole input, from its pooled states
    token    scores for each unit (word), from the state of its first token; with `crf`, transitions between them
    span     for each token the scores of being the first and the last of the answer
    vector   the pooled states themselves, of length one
    text     nothing but the body, an encoder-decoder, which writes a text with the input in view
    next     nothing but the body, a decoder, which goes on with what it has read
    ctc      for each state of a recording the scores of all tokens; the end token is the blank, "nothing new is said here"
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.crf import LinearChainCRF
from inkstone.layers.tag_moves import tag_moves
from inkstone.models.base import NextTokenModel
from inkstone.tokens.example_batches import Encoded, ExampleBatch

PADDING = -1  # the number of no document
Kind = Literal["class", "token", "span", "vector", "text", "next", "ctc"]
Pooling = Literal["first", "last", "mean", "max"]


@runtime_checkable
class ReadsBothWays(Protocol):
    """A body whose state of each position knows all of its document."""

    def encode(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None = None,
        types: Int[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t width"]:
        """The states. `document` numbers the document of each position (−1: padding), `types` its segment."""
        ...


@runtime_checkable
class ReadsUnits(Protocol):
    """A body made for tasks, which reads the words of a batch and not its tokens alone."""

    def read_units(self, batch: ExampleBatch) -> Float[Tensor, "b n width"]:
        """A state for each unit."""
        ...


@runtime_checkable
class WritesText(Protocol):
    """A body that writes one text with another in view, `models/encoder_decoder.py`."""

    @property
    def first(self) -> int:
        """The id that it reads before the first token of what it writes."""
        ...

    @property
    def output_weight(self) -> Float[Tensor, "v n"]:
        """The matrix that turns a state into logits."""
        ...

    def encode(self, source: Int[Tensor, "b s"], document: Int[Tensor, "b s"] | None = None) -> Any:
        """Read sources. `document` numbers the document of each position; padding is −1. `rows` picks from what is given."""
        ...

    def hidden(
        self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None, memory: Any = None
    ) -> Float[Tensor, "b t n"]:
        """The states from which logits are made, with what `encode` gave in view."""
        ...


@runtime_checkable
class ReadsFeatures(Protocol):
    """A body that listens: what it reads are frames of sound, `models/speech_encoder.py`."""

    def listen(
        self, features: Float[Tensor, "b t bins"], lengths: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b s width"], Int[Tensor, " b"]]:
        """The states of recordings of so many frames, and how many each has."""
        ...

    def states_of(self, lengths: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """How many states recordings of so many frames have."""
        ...


@runtime_checkable
class LearnsWords(Protocol):
    """A body that must see the words of the examples before the first step."""

    def learn_words(
        self,
        inputs: Sequence[Encoded],
        generator: torch.Generator,
        vectors: tuple[Sequence[str], np.ndarray] | None = None,
    ) -> str:
        """Know these words, and those that `vectors` are given of; weights are drawn anew. Says what it knows."""
        ...


@runtime_checkable
class LearnsToBeAsked(Protocol):
    """A body with layers of their own for what words are to the one that is asked about, see `Encoded.focus`."""

    def learn_focus(self, inputs: Sequence[Encoded], generator: torch.Generator) -> str | None:
        """Add fresh ones if these inputs ask about a word and it has none yet; says what was added."""
        ...


@dataclass(frozen=True)
class HeadSettings:
    """What a head is."""

    kind: Kind
    labels: tuple[str, ...] = ()  # of "class" and "token", in the order of their scores
    pooling: Pooling = "mean"
    dense: bool = False  # a layer with tanh before the scores, as BERT's pooler
    dropout: float = 0.1
    crf: bool = False

    def __post_init__(self):
        """Refuse a head that cannot be."""
        for name, allowed in (("kind", get_args(Kind)), ("pooling", get_args(Pooling))):
            if getattr(self, name) not in allowed:
                raise RecipeError(f"{name} = {getattr(self, name)!r}, but must be one of {', '.join(allowed)}")
        if self.kind in ("class", "token") and not self.labels:
            raise RecipeError(f"a head of the kind {self.kind!r} needs labels")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout = {self.dropout}, but must be at least 0 and below 1")

    @property
    def outputs(self) -> int:
        """Scores for each thing that is scored, of "ctc" those besides one a token."""
        return {"span": 2, "vector": 0, "text": 0, "next": 0, "ctc": 0}.get(self.kind, len(self.labels))


class Headed(nn.Module):
    """A body with a head. `forward` gives scores; what they mean, and the loss, is the task's to say."""

    family: ClassVar[str] = "headed"

    def __init__(self, body: Any, head: HeadSettings, width: int | None = None):
        """`width` is of the body's states, where its settings do not say it."""
        super().__init__()
        if head.kind == "next" and body.family != "decoder":
            raise RecipeError(
                f"a body of the family {body.family!r} cannot be tuned for a task that goes on with a text; take a decoder"
            )
        if (head.kind == "text") != isinstance(body, WritesText):
            needs = "writes" if head.kind == "text" else "reads"
            way = "an encoder-decoder" if head.kind == "text" else "an encoder"
            raise RecipeError(
                f"a body of the family {body.family!r} cannot be tuned for a task that {needs} texts; take another, such as {way}"
            )
        if (head.kind == "ctc") != isinstance(body, ReadsFeatures):
            way = (
                "listens; take a speech_encoder"
                if head.kind == "ctc"
                else "reads texts; take another, such as an encoder"
            )
            raise RecipeError(f"a body of the family {body.family!r} cannot be tuned for a task that {way}")
        if head.kind not in ("token", "text", "ctc") and not isinstance(body, ReadsBothWays | NextTokenModel):
            raise RecipeError(
                f"a body of the family {body.family!r} reads words, each for a label of its own; this task needs another, such "
                "as an encoder"
            )
        self.body: Any = body
        self.head = head
        width = width or body_width(body)
        self.dense = nn.Linear(width, width) if head.dense else None
        outputs = self.body.settings.vocab_size if head.kind == "ctc" else head.outputs
        self.scores = nn.Linear(width, outputs) if outputs else None
        self.crf = LinearChainCRF(head.outputs, tag_moves(head.labels)) if head.crf else None

    @property
    def tokenizer(self) -> Any:
        """Of the body."""
        return self.body.tokenizer

    @property
    def settings(self) -> Any:
        """Of the body."""
        return self.body.settings

    def n_parameters(self) -> int:
        """Numbers of body and head; those that two names share count once."""
        return sum(weight.numel() for weight in self.parameters())

    @torch.no_grad()
    def initialise_head(self, generator: torch.Generator) -> "Headed":
        """Draw fresh weights of the head: matrices with standard deviation 1/√fan-in, zeros for what adds."""
        for name, weight in self.named_parameters():
            if name.startswith("body."):
                continue
            if name.startswith("dense.") and weight.dim() == 2:
                weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)
            elif name == "scores.weight":
                weight.normal_(0, 0.02, generator=generator)
            else:
                weight.zero_()
        return self

    def states(self, batch: ExampleBatch) -> Float[Tensor, "b t width"]:
        """The body's state of every token. Rows are padded on the right, where a causal body never looks."""
        if isinstance(self.body, ReadsBothWays):
            document = None if bool(batch.valid.all()) else torch.where(batch.valid, 0, PADDING)
            return self.body.encode(batch.ids, document, batch.types)
        assert isinstance(self.body, NextTokenModel)
        return self.body.hidden(batch.ids)

    def written_states(self, batch: ExampleBatch) -> Float[Tensor, "b u n"]:
        """The state before each token that is to be written, those before it being read, from which its logits are made."""
        assert isinstance(self.body, WritesText)
        return self.body.hidden(self._read_before(batch), memory=self._memory(batch))

    def written_logits(self, batch: ExampleBatch) -> Float[Tensor, "b u v"]:
        """The logits of each token that is to be written, those before it being read, and where the body copies its share in them."""
        return self.body(self._read_before(batch), memory=self._memory(batch))

    def _read_before(self, batch: ExampleBatch) -> Int[Tensor, "b u"]:
        """What is read before each token that is to be written."""
        assert batch.written is not None
        first = torch.full_like(batch.written[:, :1], self.body.first)
        return torch.cat((first, batch.written[:, :-1]), dim=1)

    def _memory(self, batch: ExampleBatch) -> Any:
        """The sources of the rows; one that several rows have is read once, but while dropout reads each in its own way."""
        sources, row = torch.where(batch.valid, batch.ids, PADDING), None
        if not self.training:
            sources, row = sources.unique(dim=0, return_inverse=True)
        whole = bool(batch.valid.all())
        memory = self.body.encode(sources.clamp(min=0), None if whole else sources.clamp(max=0))  # one document: 0
        return memory if row is None else memory.rows(row)

    def states_before(
        self, batch: ExampleBatch
    ) -> tuple[Float[Tensor, "n width"], Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Of each token that a packed batch says is to be written: the state before it, its id, and the number of its text."""
        assert batch.document is not None and batch.answers is not None
        apart = bool((batch.document.amax(1) == batch.document[:, 0]).all())  # each row one text, padded on the right
        states = self.body.hidden(batch.ids, None if apart else batch.document)
        wanted = batch.answers[:, 1:]
        return states[:, :-1][wanted], batch.ids[:, 1:][wanted], batch.document[:, 1:][wanted]

    def heard(self, batch: ExampleBatch) -> tuple[Float[Tensor, "b s v"], Int[Tensor, " b"]]:
        """The log-probabilities of the tokens at each state of recordings, and how many states each has."""
        assert isinstance(self.body, ReadsFeatures) and batch.features is not None and batch.frames is not None
        states, lengths = self.body.listen(batch.features, batch.frames)
        return self._scored(states).float().log_softmax(-1), lengths

    def unit_states(self, batch: ExampleBatch) -> Float[Tensor, "b n width"]:
        """The state of each unit: that of its first token, or of a causal body that of its last, which has read it whole."""
        if isinstance(self.body, ReadsUnits):
            return self.body.read_units(batch)
        states, units = self.states(batch), batch.units
        assert units is not None and batch.unit_valid is not None
        if not isinstance(self.body, ReadsBothWays):
            ends = F.pad(units[:, 1:], (0, 1)) - 1
            lengths = batch.valid.sum(1, keepdim=True)
            last = batch.unit_valid.sum(1, keepdim=True) - 1 == torch.arange(units.shape[1], device=units.device)
            units = torch.where(last, lengths - 1, ends).clamp(min=0)
        return states.gather(1, units[..., None].expand(-1, -1, states.shape[-1]))

    def forward(self, batch: ExampleBatch) -> Tensor:
        """Scores: (b, labels) of "class", (b, n, labels) of "token", (b, t, 2) of "span", (b, width) of "vector".

        Of "text" the logits (b, u, v) of each token of `batch.written`, given those before it; of "next" those (n, v) of the n
        tokens that `batch.answers` marks.
        """
        if self.head.kind == "next":
            return F.linear(self.states_before(batch)[0], self.body.output_weight)
        if self.head.kind == "ctc":
            return self.heard(batch)[0]
        if self.head.kind == "text":
            return self.written_logits(batch)
        if self.head.kind == "token":
            return self._scored(self.unit_states(batch))
        states = self.states(batch)
        if self.head.kind == "span":
            return self._scored(states)
        pooled = pool(states, batch.valid, self.head.pooling)
        if self.head.kind == "vector":
            return F.normalize(pooled if self.dense is None else torch.tanh(self.dense(pooled)), dim=-1)
        return self._scored(pooled)

    def _scored(self, states: Float[Tensor, "*n width"]) -> Float[Tensor, "*n labels"]:
        assert self.scores is not None
        states = F.dropout(states, self.head.dropout, self.training)
        if self.dense is not None:
            states = F.dropout(torch.tanh(self.dense(states)), self.head.dropout, self.training)
        return self.scores(states)


def body_width(body: Any) -> int:
    """Numbers in a state of a body: what it says itself, what its output matrix takes, or the width in its settings."""
    if hasattr(body, "state_width"):
        return body.state_width
    if isinstance(body, NextTokenModel) and not isinstance(body, ReadsBothWays):
        return body.output_weight.shape[1]
    return body.settings.width  # pyright: ignore[reportAttributeAccessIssue]


def pool(states: Float[Tensor, "b t width"], valid: Bool[Tensor, "b t"], how: Pooling) -> Float[Tensor, "b width"]:
    """One state for each row: the first, the last, the mean, or the largest of each feature, padding left out."""
    if how == "first":
        return states[:, 0]
    if how == "last":
        last = valid.sum(1).clamp(min=1) - 1
        return states[torch.arange(len(states), device=states.device), last]
    if how == "max":
        return states.masked_fill(~valid[..., None], -torch.inf).amax(1)
    mask = valid[..., None].to(states)
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1)
