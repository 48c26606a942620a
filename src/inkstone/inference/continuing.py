"""Many texts, each of which goes on with a prompt of its own: greedy and beam search by a decoder.

What `writing.py` is for an encoder-decoder: the same settings, and the same scores of what is written. Prompts of any lengths are
written to side by side where always the likeliest token is taken; by beams one after another, since the beams are rows already.
Where a form forces tokens of a text, they are read in one step with the token before them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.inference.beam_search import Hypothesis, beam_search, length_penalty, without_repeats
from inkstone.inference.constrained import Constraint, Followed, constrained
from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.sampling import SamplingError
from inkstone.inference.slotted import ahead_at_most
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


@dataclass
class _Text:
    """A text on its way: what it goes on with, and how much of that its slot has read."""

    slot: int
    prompt: Sequence[int]
    limit: int
    form: Followed | None
    ids: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    read: int = 0  # tokens of `ids`
    over: bool = False

    def take(self, token: int, gain: float, ends: Collection[int]) -> None:
        """One more token, and those that the form then forces."""
        forced = None if self.form is None else self.form.forced()
        while True:
            self.ids.append(token)
            self.gains.append(gain if forced is None else 0.0)
            self.over = token in ends or len(self.ids) == self.limit
            if self.over or self.form is None:
                return
            self.form.take(token)
            if (forced := self.form.forced()) is None:
                return
            token = forced


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
    begun = None if constraint is None else constraint.begin(model.tokenizer, ends)
    texts = [
        _Text(slot, prompt, limit, None if begun is None else begun.copy())
        for slot, (prompt, limit) in enumerate(zip(prompts, limits, strict=True))
    ]
    due, scores = texts, torch.stack([slotted.read(text.slot, text.prompt, 0) for text in texts])
    while True:
        scores = scores.float()
        if no_repeat_ngram:
            alike = begun is None  # else their lengths differ
            each = [[text.ids for text in due]] if alike else [[text.ids] for text in due]
            read = [torch.tensor(ids, dtype=torch.long) for ids in each]
            parts = zip(scores.split(len(due) if alike else 1), read, strict=True)
            scores = torch.cat([without_repeats(*part, no_repeat_ngram) for part in parts])
        if forms := [text.form for text in due if text.form is not None]:
            scores = constrained(scores, forms)
        best = scores.max(-1)
        for text, token, gain in zip(due, best.indices.tolist(), best.values.tolist(), strict=True):
            text.take(token, gain, ends)
        going = [text for text in texts if not text.over]
        if not going:
            return [(text.ids, text.gains) for text in texts]
        due = []
        while not due:
            due, scores = _read_on(slotted, going)


def _read_on(slotted: SlottedDecoder, texts: Sequence[_Text]) -> tuple[list[_Text], Float[Tensor, "b v"]]:
    """Read the next tokens of each text in one step; the texts that are read to their end, and what follows there."""
    most = ahead_at_most(len(texts), max(len(text.prompt) + len(text.ids) for text in texts))
    ids: list[int] = []
    slots: list[int] = []
    lengths: list[int] = []
    due: list[_Text] = []
    last: list[int] = []
    for text in texts:
        unread = text.ids[text.read : text.read + most]
        ids += unread
        slots += [text.slot] * len(unread)
        lengths += range(len(text.prompt) + text.read, len(text.prompt) + text.read + len(unread))
        text.read += len(unread)
        if text.read == len(text.ids):
            due.append(text)
            last.append(len(ids) - 1)
    scores = slotted.step(torch.tensor(ids), torch.tensor(slots), torch.tensor(lengths))
    return due, scores[last]
