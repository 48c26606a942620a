"""What the engine is asked to write, what its askers hear, and a text on its way."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from inkstone.errors import InkstoneError
from inkstone.inference.constrained import Constraint
from inkstone.inference.continuation import Generated, Row
from inkstone.inference.sampling import Sampling

Likely = tuple[tuple[int, float], ...]  # the likeliest tokens with their log-probabilities, the likeliest first


class Busy(InkstoneError):
    """As many requests are waiting as may."""

    def __init__(self, waiting: int):
        super().__init__(f"{waiting} requests are waiting, and no more can; ask again later")
        self.waiting = waiting


class EngineError(InkstoneError):
    """A request that ended through no fault of its own."""


@dataclass(frozen=True)
class Request:
    """One text to be written after a prompt. With the same seed it is the text that `generate` gives, up to rounding."""

    prompt: tuple[int, ...]  # empty: the end token alone
    sampling: Sampling
    sample: int = 0  # which of several texts after one prompt: drawn as that sample of `generate`
    ends: frozenset[int] | None = None  # tokens that end a text; None: the tokenizer's end
    constraint: Constraint | None = None
    bias: Mapping[int, float] = field(default_factory=dict)  # added to log-probabilities before anything is drawn
    alternatives: int = 0  # so many of the likeliest tokens are told beside each
    seeded: bool = False  # the seed was asked for, and did not come about by chance
    client: str = ""  # whose turn it is, where several ask for more than there is room for


@dataclass(frozen=True)
class Heard:
    """What has become certain of a text since its asker last heard of it; the last holds the whole, or what went wrong."""

    text: str = ""
    ids: tuple[int, ...] = ()
    # In nats under the model itself, before bias and filters; 0 of what a form forces.
    log_probabilities: tuple[float, ...] = ()
    alternatives: tuple[Likely, ...] = ()  # for each of `ids`
    generated: Generated | None = None
    error: InkstoneError | None = None


@dataclass(eq=False)
class Writing:
    """A text on its way: waiting for a slot, then reading its prompt, then writing."""

    request: Request
    hear: Callable[[Heard], None]
    prompt: Int[np.ndarray, " n"]
    apart: bool  # the prompt is another text than the one that is written
    row: Row
    ends: frozenset[int]
    budget: int  # tokens that it may have
    began: float = field(default_factory=time.perf_counter)
    slot: int = -1  # where it is read and written
    read: int = 0  # tokens of the prompt that the slot holds
    behind: "Writing | None" = None  # whose prompt begins alike and is being read
    shared: int = 0  # so many tokens of that one's prompt are awaited
    told: float | None = None  # when its last token was
    cancelled: bool = False
    error: Exception | None = None

    @property
    def unread(self) -> int:
        """Tokens of the prompt that are still to be read."""
        return len(self.prompt) - self.read
