"""From what a client asks to what the engine is given: sampling, room, bias, and the checks that need the model."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from inkstone.inference.constrained import Constraint
from inkstone.inference.generation import sampling_from
from inkstone.inference.requests import Request
from inkstone.inference.sampling import Sampling
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import ServedLanguage
from inkstone.serving.requests import Writes
from inkstone.serving.settings import ServingSettings
from inkstone.tokens.tokenizer import Tokenizer

MOST_TEXTS = 128  # that one request may have written
SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed",
)  # fmt: skip


def texts_to_write(
    asked: Writes,
    model: ServedLanguage,
    settings: ServingSettings,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int | None,
    param: str,
    ends: Collection[int] | None = None,
    constraint: Constraint | None = None,
    alternatives: int = 0,
    client: str = "",
) -> list[Request]:
    """For each prompt its n texts, one after another.

    Raises ApiError for a prompt that leaves no room, too many texts, and tokens that there are not; `param` names the prompt.
    """
    n = asked.n or 1
    if n * len(prompts) > MOST_TEXTS:
        raise ApiError(400, f"{n * len(prompts)} texts are asked for, but at most {MOST_TEXTS} at once", param="n")
    bias = _bias(asked.logit_bias, model.tokenizer)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed % (1 << 64)
    requests = []
    for prompt in prompts:
        sampling = sampling_of(asked, room_after(prompt, model, settings, param), settings, max_tokens, seed)
        requests += [
            Request(
                tuple(prompt),
                sampling,
                sample=sample,
                ends=None if ends is None else frozenset(ends),
                constraint=constraint,
                bias=bias,
                alternatives=alternatives,
                seeded=asked.seed is not None,
                client=client,
            )
            for sample in range(n)
        ]
    return requests


def sampling_of(asked: Writes, room: int, settings: ServingSettings, max_tokens: int | None, seed: int) -> Sampling:
    """The settings of drawing; what was left out is as `inkstone generate` has it. No more tokens than there is room for."""
    given: dict[str, Any] = {name: value for name in SAMPLING if (value := getattr(asked, name)) is not None}
    most = min(room, settings.most_new_tokens)
    return sampling_from(
        given
        | {"seed": seed, "max_tokens": most if max_tokens is None else min(most, max_tokens), "stop": asked.stop or ()}
    )


def check_length(texts: Iterable[str], model: ServedLanguage, settings: ServingSettings, param: str) -> None:
    """Raises ApiError for a text that must have too many tokens, however they are cut: to cut it would take long."""
    most = min(model.capacity - 1, settings.most_prompt_tokens)
    least = sum(len(text) for text in texts) // model.longest_token
    if least > most:
        raise _too_long(f"at least {least:,}", most, model, param)


def room_after(prompt: Sequence[int], model: ServedLanguage, settings: ServingSettings, param: str) -> int:
    """Tokens that can be written after a prompt. Raises ApiError where there is room for none."""
    most = min(model.capacity - 1, settings.most_prompt_tokens)
    if len(prompt) > most:
        raise _too_long(f"{len(prompt):,}", most, model, param)
    return model.capacity - len(prompt)


def _too_long(tokens: str, most: int, model: ServedLanguage, param: str) -> ApiError:
    return ApiError(
        400,
        f"{param}: {tokens} tokens, but {model.name!r} takes at most {most:,}, so that there is room for an answer",
        param=param,
        code="context_length_exceeded",
    )


def known_tokens(ids: Sequence[int], tokenizer: Tokenizer, param: str) -> list[int]:
    """Ids as they are. Raises ApiError for one that is no token."""
    if (largest := max(ids, default=0)) >= tokenizer.vocab_size:
        raise ApiError(400, f"{param}: {largest} is no token; there are {tokenizer.vocab_size:,}", param=param)
    return list(ids)


def _bias(given: Mapping[str, float] | None, tokenizer: Tokenizer) -> dict[int, float]:
    bias = {}
    for token, value in (given or {}).items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10) or int(token) >= tokenizer.vocab_size:
            raise ApiError(
                400,
                f"logit_bias: {token[:40]!r} is no token id; there are 0 to {tokenizer.vocab_size - 1}",
                param="logit_bias",
            )
        bias[int(token)] = value
    return bias
