"""What an engine of others is asked to write, and what it tells: one face for llama.cpp, CTranslate2 and vLLM.

Prompts go in as ids and tokens come out as ids, so that text, stop strings and the ends of texts are the same whichever
engine writes. What an engine cannot do it says in `cannot`, and is not asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from inkstone.errors import InkstoneError


class ForeignEngineError(InkstoneError):
    """An engine of others that cannot be had, or that failed."""


@dataclass(frozen=True)
class Asked:
    """One text. Settings of drawing mean what they mean in `inference/sampling.py`, each off at its neutral value."""

    prompt: tuple[int, ...]
    most: int  # new tokens
    ends: frozenset[int]
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0
    bias: Mapping[int, float] | None = None
    alternatives: int = 0


@dataclass(frozen=True)
class Token:
    """One token that was written; its log-probability is not a number where the engine does not tell it."""

    number: int
    log_probability: float = float("nan")
    alternatives: tuple[tuple[int, float], ...] = ()


Ended = Literal[
    "end", "length", "stopped"
]  # the model ended its text, it has all its tokens, or the listener had enough
Hear = Callable[[Token], bool]  # True: enough


class ForeignEngine(Protocol):
    """An engine of others with one model in it. `write` may be called from as many threads as it has slots."""

    name: ClassVar[str]
    slots: int  # texts that are written at once
    capacity: int  # tokens of a prompt and what is written after it
    cannot: ClassVar[Mapping[str, str]]  # names of what it may be asked, and why it cannot

    def write(self, asked: Asked, hear: Hear) -> Ended:
        """Write one text and tell each token as it comes. Raises ForeignEngineError where the engine fails."""
        ...

    def close(self) -> None:
        """End it and free what it holds."""
        ...
