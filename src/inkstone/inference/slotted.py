"""A model whose rows have lengths of their own: what the batching engine writes with.

A row is a slot. Prompts are read into a slot in chunks; then each step reads one token of every text under way, however
long each is. A slot whose text is over keeps what it holds until another text needs it, and a beginning that two texts
share is copied instead of read again.
"""

from collections.abc import Sequence
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import InkstoneError, RunError
from inkstone.inference.prefill import context_of
from inkstone.inference.quantisation import in_precision
from inkstone.inference.sampling import SamplingError
from inkstone.inference.slotted_decoder import SlottedDecoder
from inkstone.inference.slotted_states import SlottedStates
from inkstone.inference.slotted_writer import SlottedWriter
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.models.headed import Headed
from inkstone.tokens.tokenizer import Tokenizer

PLACES_AT_ONCE = 32_768  # keys and values that a step may copy for its rows


def ahead_at_most(rows: int, longest: int) -> int:
    """Tokens of a text that one step reads at most, for so many texts of up to so many tokens, where it may read several."""
    return max(1, PLACES_AT_ONCE // (rows * longest))


class Slotted(Protocol):
    """What the engine asks of a model. Arguments and log-probabilities lie on the CPU, whatever the model computes on."""

    tokenizer: Tokenizer
    slots: int  # texts that can be written at once
    capacity: int  # tokens that a slot holds
    rewinds: bool  # any beginning of what a slot holds can be copied, or gone on from; else only all of it
    apart: bool  # a prompt is another text than the one that is written, and is read whole, in one call
    several: bool  # one step may read several tokens into a slot, in their order: a row for each

    def read(self, slot: int, ids: Sequence[int], start: int) -> Float[Tensor, " v"]:
        """Read a chunk of a prompt, whose tokens before `start` the slot holds; log-probabilities after its last token.

        `start` = 0 forgets what the slot held. Where prompts are `apart`, those of the first token to be written.
        """
        ...

    def step(
        self, ids: Int[Tensor, " b"], slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"]
    ) -> Float[Tensor, "b v"]:
        """Read one token a row, each into a slot of its own that holds `lengths[i]` tokens; log-probabilities after it.

        Where prompts are `apart`, lengths count what was written alone. With `several` rows that follow one another may have the
        same slot, the length of each one more than that of the row before.
        """
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Let a slot hold the first `length` tokens of another, the prompt included where it is `apart`."""
        ...


def slotted(
    model: LanguageModel | Headed, slots: int, capacity: int, precision: str = "auto", compiled: bool | None = None
) -> Slotted:
    """A model made ready for so many texts at once, each of at most `capacity` tokens, or its context where that is less.

    `precision` is that of the weights (`inference/quantisation.py`); `compiled` as in `inference/fast_decoder.py`.

    Raises RunError for a model that was tuned to answer otherwise than by writing, SamplingError where there is no room,
    InkstoneError where code is to be compiled and cannot be.
    """
    if slots < 1 or capacity < 1:
        raise SamplingError(f"slots = {slots} and capacity = {capacity}, but both must be at least 1")
    if isinstance(model, Headed):
        if model.head.kind not in ("text", "next"):
            raise RunError(
                f"this model was tuned for a task with a head of the kind {model.head.kind!r} and does not write; ask it by: "
                "inkstone predict RUN INPUT"
            )
        body, sources = model.body, model.head.kind == "text"
    else:
        body, sources = model, False
    body = in_precision(body, precision)  # type: ignore[arg-type]
    if isinstance(body, EncoderDecoder):
        # Sources and their texts may be longer than those it has seen, unless it has learned a vector for each place.
        bound = capacity if sources and body.settings.positions != "learned" else body.settings.context
        return SlottedWriter(body, slots, min(capacity, bound), sources)
    capacity = min(capacity, context_of(body) or capacity)
    if isinstance(body, Decoder):
        return SlottedDecoder(body, slots, capacity, compiled)
    if compiled:
        raise InkstoneError("only decoders can be compiled; leave out compiled")
    return SlottedStates(body, slots, capacity)
