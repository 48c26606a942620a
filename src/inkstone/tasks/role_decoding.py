"""Decoding of semantic roles: what may be said of a word, given where the predicate stands, and each core role once."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.layers.crf import FORBIDDEN
from inkstone.layers.seen_from import ASKED
from inkstone.layers.tag_moves import best_bio
from inkstone.tasks.role_sentences import CORE
from inkstone.text.predicates import VERB

BOUNDS = np.array([1, 2, 3, 4, 6, 9, 14])  # the largest distance of each kind but the last


def distances(places: Int[np.ndarray, " n"], start: int, stop: int) -> Int[np.ndarray, " n"]:
    """For each word by its place a mark: `ASKED`, or how far before it or after it the predicate stands.

    >>> distances(np.arange(6), 2, 4).tolist()
    [3, 2, 1, 1, 10, 11]
    """
    before, after = start - places, places - stop + 1
    kinds = len(BOUNDS) + 1
    focus = np.where(before > 0, 2 + np.searchsorted(BOUNDS, before), 0)
    focus = np.where(after > 0, 2 + kinds + np.searchsorted(BOUNDS, after), focus)
    return np.where(focus == 0, ASKED, focus).astype(np.int64)


def tags_of_batch(
    scores: Float[Tensor, "b n k"],
    focus: Int[Tensor, "b n"],
    lengths: Int[Tensor, " b"],
    labels: Sequence[str],
    *,
    once: bool,
) -> tuple[Int[Tensor, "b n"], Float[Tensor, " b"]]:
    """The best tags of each row and the logarithm of the chance that the model gives them, Σ log softmax.

    Rows in which nothing is asked about have V alone, the others roles.

    once: of a core role that stands twice, the less certain span is forbidden until none does.
    """
    verb = torch.tensor([tag[2:] == VERB for tag in labels])
    outside = torch.tensor([tag == "O" for tag in labels])
    marked = (focus == ASKED).any(1)[:, None, None]
    own = (focus == ASKED)[..., None]
    forbidden = torch.where(marked, torch.where(own, ~outside, verb), ~(verb | outside))
    scores = scores.log_softmax(-1).masked_fill(forbidden, FORBIDDEN)
    tags = best_bio(scores, labels, lengths)
    if once:
        core = [at for at, tag in enumerate(labels) if tag[:1] == "B" and tag[2:] in CORE]
        pending = _twice(tags, core, torch.arange(len(tags)))
        while len(pending):
            for row in pending.tolist():
                scores[row] = _without_weaker(scores[row], tags[row], core)
            tags[pending] = best_bio(scores[pending], labels, lengths[pending])
            pending = _twice(tags, core, pending)
    chosen = scores.gather(2, tags[..., None])[..., 0]
    return tags, chosen.masked_fill(torch.arange(tags.shape[1]) >= lengths[:, None], 0.0).sum(1)


def _twice(tags: Int[Tensor, "b n"], core: Sequence[int], rows: Int[Tensor, " r"]) -> Int[Tensor, " r"]:
    """Those of the rows in which a core role begins more than once."""
    if not core:
        return rows[:0]
    begins = torch.stack([(tags[rows] == tag).sum(1) for tag in core], dim=1)
    return rows[(begins > 1).any(1)]


def _without_weaker(scores: Float[Tensor, "n k"], tags: Int[Tensor, " n"], core: Sequence[int]) -> Float[Tensor, "n k"]:
    """The scores, in which of each core role that begins more than once the weaker beginnings may not be."""
    scores = scores.clone()
    for tag in core:
        places = (tags == tag).nonzero()[:, 0]
        if len(places) > 1:
            best = places[scores[places, tag].argmax()]
            scores[places[places != best], tag] = FORBIDDEN
    return scores
