"""A question and its context before a model, in overlapping windows where the context is too long for one, and back again.

An input is the question, a window of the context, and a closing token, whose scores are those of “no answer here”: it is the
one place that has read everything, in a model that reads forward as well. A window that lacks the answer is taught to say so,
which makes the windows of one context comparable.

Of the allowed stretches of tokens i to j of a window (i ≤ j, at most so many characters), and of “no answer”, one is right:

    p(i, j) = exp(aᵢ + bⱼ) / (Σ exp(aₖ + bₗ) + exp(a_none + b_none))

with a the scores of being the first, b of being the last token. The best stretch and the sum are found in one pass over the
tokens, with prefix sums and a queue of the best first tokens that are near enough.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from inkstone.tasks.framing import Frame
from inkstone.text.overlap import content_words, shared_characters
from inkstone.tokens.example_batches import Encoded
from inkstone.tokens.offsets import PlacedTokens


@dataclass(frozen=True)
class Said:
    """What a model says of one window."""

    start: int  # the best stretch, in characters of the context; start = stop: there is none
    stop: int
    log_p: float  # of that stretch
    log_none: float  # of “no answer here”


def windows(
    frame: Frame,
    question: PlacedTokens,
    context: PlacedTokens,
    texts: tuple[str, str],
    stride: int | None,
    answer: tuple[int, int] | None,
    answered: bool,
) -> list[Encoded]:
    """The inputs of a question (`texts`: the question and its context).

    A new window begins `stride` tokens after the last; by default half of what a window holds. A question takes half the
    room at most. answer: from which character to which it stands, or None where there is none; `answered` says whether
    that is known, so that there is something to learn.
    """
    closing = () if frame.pair_after else (frame.tokenizer.end,)
    room = frame.context - len(frame.pair_before) - len(frame.pair_between) - len(frame.pair_after) - len(closing)
    asked = question.ids[: room // 2]
    size = room - len(asked)
    step = max(1, min(size, stride or size // 2))
    inside = shrunk(context, texts[1])
    marks = np.zeros(len(context.ids), dtype=bool)
    if frame.tokenizer.kind != "foreign":  # a foreign model knows what its segments mean; ours learn it
        shared = np.frombuffer(shared_characters(texts[1], content_words(texts[0])), np.uint8)
        filled = inside[:, 1] > inside[:, 0]
        marks[filled] = shared[inside[filled, 0]] > 0
    first, last = _tokens_of(inside, *answer) if answer else (-1, -1)
    inputs = []
    final = max(0, len(context.ids) - size)  # where the last window begins, so that it is as full as the others
    for begin in (min(begin, final) for begin in range(0, final + step, step)):
        piece = slice(begin, begin + size)
        ids, types = frame.pair(asked, context.ids[piece])
        head = len(frame.pair_before) + len(asked) + len(frame.pair_between)
        count = len(context.ids[piece])
        if closing:
            ids, types = np.append(ids, closing), np.append(types, types[-1:])
        if frame.tokenizer.kind != "foreign":
            # Segment 1: the question, and what of the context stands in it, too.
            types = np.where(np.arange(len(ids)) < head, 1, 0)
            types[head : head + count] = marks[piece]
        characters = np.zeros((len(ids), 2), dtype=np.int64)
        characters[head : head + count] = inside[piece]
        target = None
        if answered and (answer is None or first >= 0):
            holds = answer is not None and begin <= first and last < begin + size
            target = np.array([head + first - begin, head + last - begin] if holds else [len(ids) - 1] * 2)
        inputs.append(Encoded(ids, types, target=target, characters=characters))
    return inputs


def shrunk(tokens: PlacedTokens, text: str) -> Int[np.ndarray, "t 2"]:
    """The place of each token without the blanks around it; start = stop for one that is nothing else."""
    blank = np.array([character.isspace() for character in text] + [True])
    solid = np.flatnonzero(~blank)
    if not len(solid):
        return np.zeros((len(tokens.ids), 2), dtype=np.int64)
    places = np.arange(len(blank))
    following = np.append(solid, len(text))[np.searchsorted(solid, places)]  # the first that is no blank, from here on
    before = np.concatenate([[-1], solid])[np.searchsorted(solid, places)]  # the last that is none, before here
    starts, stops = following[tokens.starts], before[tokens.stops] + 1
    empty = stops <= starts
    return np.stack([np.where(empty, tokens.starts, starts), np.where(empty, tokens.starts, stops)], axis=1)


def _tokens_of(inside: Int[np.ndarray, "t 2"], start: int, stop: int) -> tuple[int, int]:
    """The first and the last token with characters of an answer; (-1, -1) where the tokenizer left them all out."""
    touched = np.flatnonzero((inside[:, 1] > start) & (inside[:, 0] < stop) & (inside[:, 1] > inside[:, 0]))
    return (int(touched[0]), int(touched[-1])) if len(touched) else (-1, -1)


def said(
    first: Float[np.ndarray, " t"],
    last: Float[np.ndarray, " t"],
    characters: Int[np.ndarray, "t 2"],
    longest: int,
) -> Said:
    """The best stretch of one window by the scores of being first and last; those of “no answer” stand at the end."""
    allowed: Bool[np.ndarray, " t"] = characters[:, 1] > characters[:, 0]
    a, b = first[allowed].astype(np.float64), last[allowed].astype(np.float64)
    starts, stops = characters[allowed].T if allowed.any() else (np.zeros(0, int), np.zeros(0, int))
    none = float(first[-1]) + float(last[-1])
    low = np.searchsorted(starts, stops - longest)  # the first token that is near enough to each last one
    best, pair = best_stretch(a, b, low)
    high = max(a.max(initial=-np.inf) + b.max(initial=-np.inf), none)
    total = np.exp(none - high)
    if len(a):
        # Shifted by the largest, so that no sum overflows; what underflows is too small to count.
        prefix = np.concatenate([[0.0], np.cumsum(np.exp(a - a.max()))])
        sums = np.maximum(0.0, prefix[1:] - prefix[np.minimum(low, np.arange(1, len(a) + 1))])
        total += np.exp(a.max() + b.max() - high) * float(sums @ np.exp(b - b.max()))
    log_total = high + np.log(total)
    if best == -np.inf:
        return Said(0, 0, -np.inf, none - log_total)
    return Said(int(starts[pair[0]]), int(stops[pair[1]]), float(best - log_total), float(none - log_total))


def best_stretch(
    a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], low: Int[np.ndarray, " n"]
) -> tuple[float, tuple[int, int]]:
    """The highest a[i] + b[j] with low[j] ≤ i ≤ j, and (i, j); −∞ where there are no tokens."""
    best, pair = -np.inf, (0, 0)
    for begin, end in _best_starts(a, low):
        if a[begin] + b[end] > best:
            best, pair = a[begin] + b[end], (begin, end)
    return float(best), pair


def _best_starts(scores: Float[np.ndarray, " n"], low: Int[np.ndarray, " n"]) -> Iterator[tuple[int, int]]:
    """For each last token with a first one that is near enough: (the best of these, the last one)."""
    queue: deque[int] = deque()  # candidates with falling scores
    values = scores.tolist()
    for end, least in enumerate(low.tolist()):
        while queue and values[queue[-1]] <= values[end]:
            queue.pop()
        queue.append(end)
        while queue and queue[0] < least:
            queue.popleft()
        if queue:
            yield queue[0], end
