"""One continuation on its way: its tokens, the text that is certain so far, and why it ended."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from inkstone.inference.constrained import Followed
from inkstone.inference.sampling import Sampling
from inkstone.inference.stop_strings import StopStrings
from inkstone.tokens.streaming import TextStream

FinishReason = Literal["end", "stop", "length"]  # the end token, a stop string, the number of tokens allowed


@dataclass(frozen=True)
class Speculated:
    """What a draft was worth to one continuation (`speculative.py`)."""

    drafted: int  # tokens that were guessed
    accepted: int  # and stand in the text
    speed_up: float | None  # over plain steps as they were timed between; None where none was timed

    @property
    def acceptance(self) -> float:
        """The share of the guesses that stand; 0 where there was none."""
        return self.accepted / max(1, self.drafted)


@dataclass(frozen=True)
class Generated:
    """One continuation. `text` is without the prompt and the stop string; `ids` are all tokens that were drawn."""

    text: str
    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]  # in nats under the model itself, before any filter; 0 of what a form forces
    finish_reason: FinishReason
    seconds: float  # from the call, reading the prompt included
    speculated: Speculated | None = None  # where a draft helped

    @property
    def log_probability(self) -> float:
        """Of the whole continuation in nats."""
        return sum(self.log_probabilities)

    @property
    def tokens_per_second(self) -> float:
        """Of this continuation alone; several that are written together add up."""
        return len(self.ids) / self.seconds


@dataclass(frozen=True)
class Piece:
    """Text that has become certain in one of the samples; with the last piece of a sample comes its whole."""

    sample: int
    text: str
    generated: Generated | None = None


class Row:
    """One continuation on its way: its tokens, its own source of randomness, its text as it becomes certain."""

    def __init__(self, sample: int, sampling: Sampling, text: TextStream, form: Followed | None = None):
        self.sample = sample
        self.form = form
        # Seeded with its number as well, so that a sample is the same however many are drawn beside it.
        self.random = np.random.default_rng([sampling.seed, sample])
        self.text = text
        self.gate = StopStrings(sampling.stop)
        self.given: list[str] = []
        self.ids: list[int] = []
        self.log_probabilities: list[float] = []
        self.reason: FinishReason | None = None  # why it is over

    def push(self, number: int, log_probability: float, ends: Collection[int], budget: int) -> str:
        """Take one more token and give the text that is certain with it."""
        self.ids.append(number)
        if self.form is not None:
            if self.form.forced() is not None:
                log_probability = 0.0
            self.form.take(number)
        self.log_probabilities.append(log_probability)
        if number in ends:
            self.reason = "end"
            new = self.gate.push(self.text.finish()) + self.gate.finish()
        else:
            new = self.gate.push(self.text.push(number))
            if self.gate.found:
                self.reason = "stop"
            elif len(self.ids) == budget:
                # A character cut off by the budget is no fault of the model's and is left out.
                self.reason = "length"
                new += self.gate.finish()
        self.given.append(new)
        return new

    def jump(self, ends: Collection[int], budget: int, uniform: Callable[[], float] | None = None) -> str:
        """Take the tokens that the form forces from here on, and give the text that is certain with them.

        Each uses up a random number (the row's, or what `uniform` gives), so that what is drawn later does not depend on jumps.
        """
        new = ""
        while self.form is not None and self.reason is None and (number := self.form.forced()) is not None:
            (uniform or self.random.random)()
            new += self.push(number, 0.0, ends, budget)
        return new

    def generated(self, seconds: float, speculated: Speculated | None = None) -> Generated | None:
        """The whole continuation, once it is over."""
        if self.reason is None:
            return None
        text, ids, gained = "".join(self.given), tuple(self.ids), tuple(self.log_probabilities)
        return Generated(text, ids, gained, self.reason, seconds, speculated)


def primed(text: TextStream, prompt: Sequence[int]) -> TextStream:
    """The stream after the prompt: what a token spells may depend on the few before it."""
    for number in prompt[-16:]:
        text.push(number)
    text.finish()
    return text
