"""What was written so far of each text of a request, and how the API tells it."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from inkstone.inference.continuation import Generated, primed
from inkstone.inference.requests import Heard, Likely
from inkstone.tokens.tokenizer import Tokenizer

REASONS = {"end": "stop", "stop": "stop", "length": "length"}
LEAST = -9999.0  # for a log-probability of −∞, which JSON cannot hold


@dataclass
class Written:
    """One text: what was heard of it, put together."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    alternatives: list[Likely] = field(default_factory=list)
    generated: Generated | None = None

    def hear(self, heard: Heard) -> None:
        """Add what is new."""
        self.text += heard.text
        self.ids += heard.ids
        self.log_probabilities += heard.log_probabilities
        self.alternatives += heard.alternatives
        self.generated = heard.generated or self.generated

    def as_heard(self) -> Heard:
        """All of it as one event."""
        scores = tuple(self.log_probabilities), tuple(self.alternatives)
        return Heard(self.text, tuple(self.ids), *scores, self.generated)

    @property
    def reason(self) -> str | None:
        """Why it ended, as the API says it."""
        return None if self.generated is None else REASONS[self.generated.finish_reason]


def joined(first: Heard, second: Heard) -> Heard:
    """Two events as one."""
    return Heard(
        first.text + second.text,
        first.ids + second.ids,
        first.log_probabilities + second.log_probabilities,
        first.alternatives + second.alternatives,
        second.generated,
    )


def spoken(heard: Heard, ends: Collection[int]) -> Iterator[tuple[int, float, Likely]]:
    """The tokens of an event with their log-probabilities and alternatives; the one of `ends` that ended the text is no part of it.

    An engine of others may end a text without telling such a token.
    """
    ended = heard.generated is not None and heard.generated.finish_reason == "end" and bool(heard.ids)
    told = zip(heard.ids, heard.log_probabilities, heard.alternatives or ((),) * len(heard.ids), strict=True)
    return islice(told, len(heard.ids) - (ended and heard.ids[-1] in ends))


def usage(prompts: int, written: Iterable[Written]) -> dict[str, Any]:
    """The tokens of a request."""
    completion = sum(len(each.ids) for each in written)
    return {"prompt_tokens": prompts, "completion_tokens": completion, "total_tokens": prompts + completion}


def token_name(number: int, tokenizer: Tokenizer) -> tuple[str, list[int]]:
    """A token as text and as bytes."""
    spelling = tokenizer.spelling
    text = tokenizer.token_text(number)
    return text, list(text.encode() if spelling is None else spelling[number])


def chat_logprobs(heard: Heard, tokenizer: Tokenizer, ends: Collection[int]) -> dict[str, Any]:
    """The tokens of an event in the form of chat completions."""
    content = []
    for number, value, others in spoken(heard, ends):
        told = _told(number, value, tokenizer)
        content.append(told | {"top_logprobs": [_told(each, other, tokenizer) for each, other in others]})
    return {"content": content, "refusal": None}


class Places:
    """Where each token of a text begins, in characters: one that begins within a character, where that begins.

    The text stands after a prompt, which `echoed` tells where it is part of the answer.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], echoed: Heard | None = None):
        echoed = echoed or Heard()
        self.at, self.begin, self.left = 0, len(echoed.text), len(echoed.ids)
        self.echo, self.own = tokenizer.stream(special=True), primed(tokenizer.stream(), prompt)

    def next(self, number: int) -> int:
        """The place of the next token."""
        at = self.at
        if self.left:
            self.left -= 1
            self.at = self.at + len(self.echo.push(number)) if self.left else self.begin
        else:
            self.at += len(self.own.push(number))
        return at


def completion_logprobs(heard: Heard, tokenizer: Tokenizer, places: Places, wanted: int) -> dict[str, Any]:
    """The tokens of an event in the form of completions."""
    told: dict[str, list] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for number, value, others in spoken(heard, {tokenizer.end}):
        told["tokens"].append(tokenizer.token_text(number))
        told["token_logprobs"].append(None if math.isnan(value) else finite(value))  # nothing stands before the first
        told["top_logprobs"].append(by_name(dict(others), tokenizer) if wanted else {})
        told["text_offset"].append(places.next(number))
    return told


def by_name(values: Mapping[int, float], tokenizer: Tokenizer) -> dict[str, float]:
    """Log-probabilities by the text of their tokens."""
    return {tokenizer.token_text(number): finite(value) for number, value in values.items()}


def finite(value: float) -> float:
    """A number that JSON can hold."""
    return max(value, LEAST)


def _told(number: int, value: float, tokenizer: Tokenizer) -> dict[str, Any]:
    text, spelled = token_name(number, tokenizer)
    return {"token": text, "logprob": finite(value), "bytes": spelled}
