"""Batches of whole pieces: sentences or lines, those of like length together, in a new order each epoch.

A window of packed text begins and ends somewhere in a sentence. A model that learns from sentences gets whole ones.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from inkstone.tokens.batches import Batch, Batches, PackedBatches
from inkstone.tokens.pieces import Pieces, cut_pieces
from inkstone.tokens.sentence_ends import openings
from inkstone.tokens.shards import TokenShards

GROUP = 16  # batches whose pieces are sorted by length together


class PieceBatches:
    """Batches of about `rows` · `context` predictions in pieces of at most `context`, by number.

    `GROUP` batches are made from one batch of `PackedBatches` whose windows are `GROUP` times as long. What a window begins
    or ends with that is no whole piece is left out of it; as windows begin elsewhere each epoch, all of the text is read.
    The pieces of a batch stand in one row, each with a number of its own in `document`. Nothing is kept that could not be
    made again, so a run resumes at batch i by asking for batch i.

    `windows` are other ones of `GROUP` · `context` tokens to cut pieces from, such as those of a mixture.
    """

    def __init__(
        self,
        shards: TokenShards,
        marks: Tensor,
        *,
        context: int,
        rows: int,
        seed: int,
        windows: Batches | None = None,
    ):
        self.shards, self.marks = shards, marks.cpu()
        self.context, self.rows, self.seed = context, rows, seed
        self.windows = windows or PackedBatches(shards, context=GROUP * context, rows=rows, seed=seed)
        self._group = lru_cache(maxsize=2)(self._make_group)

    def batch(self, index: int) -> Batch:
        """Batch number `index`, from 0: the same at every call."""
        group, place = divmod(index, GROUP)
        pieces, parts = self._group(group)
        chosen = pieces.rows(torch.from_numpy(parts[place]))
        numbers = torch.arange(len(chosen), dtype=torch.int32)[:, None].expand(chosen.valid.shape)
        ids, targets, document = (x[chosen.valid][None] for x in (chosen.inputs, chosen.targets, numbers))
        return Batch(ids, targets, document if len(chosen) > 1 else None)

    def _make_group(self, group: int) -> tuple[Pieces, list[np.ndarray]]:
        """The pieces of a group, and which of them each of its batches holds."""
        window = self.windows.batch(group)
        opens, _ = openings(torch.cat((window.ids, window.targets[:, -1:]), dim=1), self.marks)
        pieces = cut_pieces(window.ids, window.targets, window.document, self.context, opens[:, :-1], self.shards.end)
        lengths = pieces.valid.sum(1).numpy()
        draws = np.random.default_rng([self.seed, group])
        order = draws.permutation(np.flatnonzero(self._whole(lengths, opens.numpy())))
        order = order[np.argsort(lengths[order], kind="stable")]
        parts = [order[part] for part in _even(lengths[order], GROUP)]
        return pieces, [parts[at] for at in draws.permutation(GROUP)]

    def _whole(self, lengths: np.ndarray, opens: np.ndarray) -> np.ndarray:
        """Which pieces are no fragments; all of them where there would be no others.

        What stands before the first opening of a window may have begun before it; what stands last is whole where
        something opens after it, or where it is as long as can be.
        """
        width = opens.shape[1] - 1
        stop = np.cumsum(lengths)
        row, first = np.divmod(stop - lengths, width)
        at_first = np.where(opens[:, :-1].any(1), opens[:, :-1].argmax(1), 0)
        last = stop % width == 0
        whole = (first >= at_first[row]) & (~last | opens[row, -1] | (lengths == self.context))
        return whole if whole.any() else np.ones_like(whole)


def _even(lengths: np.ndarray, parts: int) -> list[slice]:
    """Stretches of about equal sums, none of them empty; too few pieces are given several times.

    >>> _even(np.array([1, 1, 2, 4, 4]), 3)
    [slice(0, 3, None), slice(3, 4, None), slice(4, 5, None)]
    >>> _even(np.array([5]), 2)
    [slice(0, 1, None), slice(0, 1, None)]
    """
    count = len(lengths)
    if count < parts:
        return [slice(at % count, at % count + 1) for at in range(parts)]
    sums, inner = np.cumsum(lengths), np.arange(1, parts)
    cuts = np.searchsorted(sums, sums[-1] * inner / parts, side="right")
    cuts = np.maximum.accumulate(cuts - inner) + inner
    cuts = np.clip(cuts, inner, count - parts + inner).tolist()
    return [slice(begin, stop) for begin, stop in zip([0, *cuts], [*cuts, count], strict=True)]
