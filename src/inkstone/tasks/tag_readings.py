"""What a tagger says to the words of a sentence, and what two taggers say together.

Each gives scores to tags and to the moves between them. Their weighted sum does so again:

    score(tags) = (1 − s) · score₁(tags) + s · score₂(tags),      p(tags) ∝ p₁(tags)^(1 − s) · p₂(tags)^s

which is the logarithmic opinion pool of two distributions over whole sentences, and as easy to decode as either of them. A move
that the first forbids stays forbidden at every share.

Source: Smith, Cohn and Osborne 2005 (Logarithmic opinion pools for conditional random fields).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from inkstone.layers.crf import FORBIDDEN, Transitions
from inkstone.layers.tag_moves import best_chain

AT_ONCE = 16_384  # words decoded together, padding counted
SHARES = np.linspace(0, 1, 11)  # of the second tagger that are tried


@dataclass(frozen=True)
class Reading:
    """What is said to the words of one input."""

    scores: Float[Tensor, "n k"]
    tags: list[int]
    log_chance: float  # of all tags together
    chain: Transitions | None


def best_readings(scores: Sequence[Float[Tensor, "n k"]], chain: Transitions | None) -> list[Reading]:
    """The best tags of many sentences, each with one word at least, decoded together in order of their lengths."""
    order = sorted(range(len(scores)), key=lambda number: -len(scores[number]))
    found: list[Reading | None] = [None] * len(scores)
    at = 0
    while at < len(order):
        rows = order[at : at + max(1, AT_ONCE // len(scores[order[at]]))]
        at += len(rows)
        own = [scores[row] for row in rows]
        tags, chances = best_chain(
            pad_sequence(own, batch_first=True), chain, torch.tensor([len(each) for each in own])
        )
        for row, best, chance in zip(rows, tags.tolist(), chances.tolist(), strict=True):
            found[row] = Reading(scores[row], best[: len(scores[row])], chance, chain)
    return [reading for reading in found if reading is not None]


def pooled_readings(first: Sequence[Reading], second: Sequence[Reading], share: float) -> list[Reading]:
    """What two taggers say together to the same sentences, `share` being the second's; each has one chain for all sentences."""
    if not first:
        return []
    scores = [(1 - share) * a.scores + share * b.scores for a, b in zip(first, second, strict=True)]
    return best_readings(scores, pooled_chain(first[0].chain, second[0].chain, share))


def pooled_chain(first: Transitions | None, second: Transitions | None, share: float) -> Transitions | None:
    """The weighted sum of the scores of moves; None stands for a tagger to whom all moves are alike."""
    if first is None and second is None:
        return None
    some = first or second
    assert some is not None
    nothing = Transitions(*(torch.zeros_like(each) for each in (some.start, some.move, some.end)))
    a, b = first or nothing, second or nothing
    pairs = ((a.start, b.start), (a.move, b.move), (a.end, b.end))
    return Transitions(
        *(torch.where(own <= FORBIDDEN / 2, FORBIDDEN, (1 - share) * own + share * other) for own, other in pairs)
    )


def joined(readings: Sequence[Reading]) -> Reading:
    """The windows of one sentence decoded as one."""
    if len(readings) == 1:
        return readings[0]
    return best_readings([torch.cat([reading.scores for reading in readings])], readings[0].chain)[0]


def best_share(score_at: Sequence[float]) -> float:
    """Of `SHARES` the one with the highest score; of equal ones the smallest, so that what adds nothing gets none."""
    return float(SHARES[int(np.argmax(score_at))])
