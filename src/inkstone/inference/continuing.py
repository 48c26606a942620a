"""Many texts, each of which goes on with a prompt of its own: greedy and beam search by a decoder.

What `writing.py` is for an encoder-decoder: the same settings, and the same scores of what is written. Prompts of any lengths are
written to side by side where always the likeliest token is taken; by beams one after another, since the beams are rows already.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch

from inkstone.inference.beam_search import Hypothesis, beam_search, length_penalty, without_repeats
from inkstone.inference.constrained import Constraint, constrained
from inkstone.inference.sampling import SamplingError
from inkstone.inference.single_token import for_generation
from inkstone.inference.slotted_decoder import SlottedDecoder
from inkstone.models.decoder import Decoder

ROWS_AT_ONCE = 32
TOKENS_AT_ONCE = 16_384  # of prompts and texts in the rows together

Limit = int | Sequence[int] | Callable[[int], int]  # of all, of each prompt, or what makes one of its tokens


def continue_texts(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: Limit,
    beams: int = 1,
    alpha: float = 0.6,
    no_repeat_ngram: int = 0,
    ends: Collection[int] | None = None,
    constraint: Constraint | None = None,
) -> list[list[Hypothesis]]:
    """For each prompt the `beams` best texts found (fewer where there are fewer), the best first.

    `max_tokens`: of a text, its end included, and no more than the context holds after the prompt. With `no_repeat_ngram` = n no n tokens
    stand twice in what is written; those of the prompt may, since a text may say what another says. Else as `beam_search`.

    Raises SamplingError for settings that cannot hold, and for a prompt that leaves no room in the context.
    """
    context, ending = model.settings.context, {model.tokenizer.end} if ends is None else set(ends)
    if any(not 0 < len(prompt) < context for prompt in prompts):
        raise SamplingError(
            f"a prompt must have 1 to {context - 1:,} tokens, so that one fits into the context after it"
        )
    limits = [
        min(limit, context - len(prompt)) for prompt, limit in zip(prompts, _limits(max_tokens, prompts), strict=True)
    ]
    if any(limit < 1 for limit in limits):
        raise SamplingError(f"max_tokens = {min(limits)}, but must be at least 1")
    if beams > 1:
        fast = for_generation(model, beams)
        how: dict[str, Any] = {"no_repeat_ngram": no_repeat_ngram, "repeats_of_prompt": True}
        return [
            beam_search(fast, prompt, beams, limit, alpha, ends=ending, constraint=constraint, **how)
            for prompt, limit in zip(prompts, limits, strict=True)
        ]
    if beams < 1 or alpha < 0 or no_repeat_ngram < 0:
        raise SamplingError(
            f"beams = {beams}, length penalty {alpha}, no_repeat_ngram = {no_repeat_ngram}, but must be at least 1, 0 and 0"
        )
    found: list[list[Hypothesis]] = [[] for _ in prompts]
    for rows in _batches([len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True)]):
        own = _greedy(
            model, [prompts[row] for row in rows], [limits[row] for row in rows], ending, no_repeat_ngram, constraint
        )
        for row, (ids, gains) in zip(rows, own, strict=True):
            score = sum(gains) / length_penalty(len(ids), alpha)
            found[row] = [Hypothesis(tuple(ids), tuple(gains), score, ids[-1] in ending)]
    return found


def _limits(max_tokens: Limit, prompts: Sequence[Sequence[int]]) -> Sequence[int]:
    if callable(max_tokens):
        return [max_tokens(len(prompt)) for prompt in prompts]
    return [max_tokens] * len(prompts) if isinstance(max_tokens, int) else max_tokens


def _batches(places: Sequence[int]) -> list[list[int]]:
    """Numbers of rows that take so many places each, the longest first, in batches that are not too large."""
    batches: list[list[int]] = []
    for row in sorted(range(len(places)), key=lambda row: -places[row]):
        own = batches[-1] if batches else []
        if not own or len(own) == ROWS_AT_ONCE or (len(own) + 1) * places[own[0]] > TOKENS_AT_ONCE:
            batches.append([])
        batches[-1].append(row)
    return batches


@torch.inference_mode()
def _greedy(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: Collection[int],
    no_repeat_ngram: int,
    constraint: Constraint | None,
) -> list[tuple[list[int], list[float]]]:
    """The likeliest token each time, up to an end or the limit; of each prompt the ids and their log-probabilities."""
    slotted = SlottedDecoder(model, len(prompts), max(len(p) + limit for p, limit in zip(prompts, limits, strict=True)))
    scores = torch.stack([slotted.read(row, prompt, 0) for row, prompt in enumerate(prompts)])
    ids: list[list[int]] = [[] for _ in prompts]
    gains: list[list[float]] = [[] for _ in prompts]
    going = list(range(len(prompts)))
    forms = None if constraint is None else [constraint.begin(model.tokenizer, ends) for _ in prompts]
    while True:
        scores = scores.float()
        if no_repeat_ngram:
            scores = without_repeats(
                scores, torch.tensor([ids[row] for row in going], dtype=torch.long), no_repeat_ngram
            )
        if forms is not None:
            scores = constrained(scores, [forms[row] for row in going])
        best = scores.max(-1)
        for row, token, gain in zip(going, best.indices.tolist(), best.values.tolist(), strict=True):
            ids[row].append(token)
            gains[row].append(gain)
        going = [row for row in going if ids[row][-1] not in ends and len(ids[row]) < limits[row]]
        if not going:
            return list(zip(ids, gains, strict=True))
        if forms is not None:
            for row in going:
                forms[row] = forms[row].then(ids[row][-1])
        lengths = torch.tensor([len(prompts[row]) + len(ids[row]) - 1 for row in going])
        scores = slotted.step(torch.tensor([ids[row][-1] for row in going]), torch.tensor(going), lengths)
