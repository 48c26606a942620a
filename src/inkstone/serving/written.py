"""What was written so far of each text of a request, and how the API tells it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inkstone.inference.continuation import Generated
from inkstone.inference.requests import Heard
from inkstone.tokens.tokenizer import Tokenizer

REASONS = {"end": "stop", "stop": "stop", "length": "length"}
LEAST = -9999.0  # for a log-probability of −∞, which JSON cannot hold


@dataclass
class Written:
    """One text: what was heard of it, put together."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    alternatives: list[Sequence[tuple[int, float]]] = field(default_factory=list)
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
        return Heard(self.text, tuple(self.ids), tuple(self.log_probabilities), tuple(self.alternatives))

    @property
    def reason(self) -> str | None:
        """Why it ended, as the API says it."""
        return None if self.generated is None else REASONS[self.generated.finish_reason]


def usage(prompts: int, written: Iterable[Written], reused: int = 0) -> dict[str, Any]:
    """The tokens of a request; `reused` of the prompts were known from before."""
    completion = sum(len(each.ids) for each in written)
    return {
        "prompt_tokens": prompts,
        "completion_tokens": completion,
        "total_tokens": prompts + completion,
        "prompt_tokens_details": {"cached_tokens": reused},
    }


def token_name(number: int, tokenizer: Tokenizer) -> tuple[str, list[int]]:
    """A token as text and as bytes."""
    spelling = tokenizer.spelling
    text = tokenizer.token_text(number)
    return text, list(text.encode() if spelling is None else spelling[number])


def chat_logprobs(heard: Heard, tokenizer: Tokenizer, ends: frozenset[int]) -> dict[str, Any]:
    """The tokens of an event in the form of chat completions; the one that ends an answer is no part of it."""
    content = []
    alternatives = heard.alternatives or ((),) * len(heard.ids)
    for number, value, others in zip(heard.ids, heard.log_probabilities, alternatives, strict=True):
        if number in ends:
            continue
        told = _told(number, value, tokenizer)
        content.append(told | {"top_logprobs": [_told(each, other, tokenizer) for each, other in others]})
    return {"content": content, "refusal": None}


def completion_logprobs(
    heard: Heard, tokenizer: Tokenizer, ends: frozenset[int], offset: int, wanted: int
) -> tuple[dict[str, Any], int]:
    """The tokens of an event in the form of completions, the first of them at this place of the text; and the place after."""
    told: dict[str, list] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    alternatives = heard.alternatives or ((),) * len(heard.ids)
    for number, value, others in zip(heard.ids, heard.log_probabilities, alternatives, strict=True):
        if number in ends:
            continue
        name = tokenizer.token_text(number)
        told["tokens"].append(name)
        told["token_logprobs"].append(finite(value))
        told["top_logprobs"].append(by_name(dict(others), tokenizer) if wanted else {})
        told["text_offset"].append(offset)
        offset += len(name)
    return told, offset


def by_name(values: Mapping[int, float], tokenizer: Tokenizer) -> dict[str, float]:
    """Log-probabilities by the text of their tokens."""
    return {tokenizer.token_text(number): finite(value) for number, value in values.items()}


def finite(value: float) -> float:
    """A number that JSON can hold."""
    return max(value, LEAST) if not math.isnan(value) else LEAST


def _told(number: int, value: float, tokenizer: Tokenizer) -> dict[str, Any]:
    text, spelled = token_name(number, tokenizer)
    return {"token": text, "logprob": finite(value), "bytes": spelled}
