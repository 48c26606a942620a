"""Batches of two texts in a given proportion: new text to learn from, and old text that is not to be forgotten.

Replay (Ibrahim et al. 2024, "Simple and Scalable Strategies to Continually Pre-train Large Language Models"): a share of what
a model reads while it adapts to new text is text that it was trained on. All rows of all batches are numbered in one line, and
row r is one of old text where ⌊(r + 1) · share⌋ > ⌊r · share⌋: after any number of rows the share is right to within one row.
What row r holds depends on (seed, r) alone, so a run resumes at batch i by asking for batch i.
"""

import math
from functools import lru_cache

import numpy as np
import torch

from inkstone.errors import RecipeError
from inkstone.tokens.batches import Batch, PackedBatches, documents_of
from inkstone.tokens.shards import TokenShards

STRETCH = 32  # batches through which a row of `MixedStreams` goes on in one text


class MixedBatches:
    """Batches of `rows` windows of `context` tokens, of which the share `replay` comes from `old`, the rest from `new`.

    Each text is gone through as `PackedBatches` does: every window once an epoch, in an order that is drawn for each. Where in
    a batch the rows of old text stand is drawn too, for a model may treat the first rows otherwise than the last.
    Raises RecipeError for a share outside [0, 1] and for texts that were not made by one tokenizer.
    """

    def __init__(self, new: TokenShards, old: TokenShards, replay: float, *, context: int, rows: int, seed: int):
        if not 0 <= replay <= 1:
            raise RecipeError(f"a share of {replay} of old text, but it must be from 0 to 1")
        if new.tokenizer_fingerprint != old.tokenizer_fingerprint:
            raise RecipeError(f"{new.folder} and {old.folder} were written with different tokenizers")
        self.replay, self.context, self.rows, self.seed = replay, context, rows, seed
        self.shards = new
        self.new = PackedBatches(new, context=context, rows=1, seed=seed)
        self.old = PackedBatches(old, context=context, rows=1, seed=seed)

    def is_old(self, row: int) -> bool:
        """Whether the row of this number, counted through all batches, is one of old text."""
        return self._old_before(row + 1) > self._old_before(row)

    def batch(self, index: int) -> Batch:
        """Batch number `index`, from 0: the same at every call."""
        first = index * self.rows
        order = np.random.default_rng([self.seed, index]).permutation(self.rows)
        window = np.empty((self.rows, self.context + 1), dtype=np.int64)
        for row, place in zip(range(first, first + self.rows), order, strict=True):
            before = self._old_before(row)
            text, number = (self.old, before) if self.is_old(row) else (self.new, row - before)
            part = text.batch(number)
            window[place, :-1], window[place, -1] = part.ids[0].numpy(), int(part.targets[0, -1])
        ids = torch.from_numpy(window)
        document = documents_of(window[:, :-1], self.shards.end)
        return Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), document)

    def _old_before(self, row: int) -> int:
        """How many of the first `row` rows are of old text."""
        return math.floor(row * self.replay + 1e-9)  # 10 · 0.1 · 3 must not fall short of 3 for the rounding of 0.1


class MixedStreams:
    """The same for models that carry a state: each row goes on in one text through `STRETCH` batches, then in another.

    A stretch begins with the end token in place of its first one, as a document does, so that the state of what stood before it,
    of another text maybe, is dropped. Unlike `StreamBatches`, whose rows never break off, rows see `STRETCH` · `context` tokens of
    a text at most.
    """

    def __init__(self, new: TokenShards, old: TokenShards, replay: float, *, context: int, rows: int, seed: int):
        self.context, self.rows = context, rows
        self.windows = MixedBatches(new, old, replay, context=STRETCH * context, rows=rows, seed=seed)
        self.end = new.end
        self._stretch = lru_cache(maxsize=2)(self.windows.batch)

    def batch(self, index: int) -> Batch:
        """Batch number `index`, from 0: the same at every call."""
        number, place = divmod(index, STRETCH)
        whole = self._stretch(number)
        part = slice(place * self.context, (place + 1) * self.context)
        ids, targets = whole.ids[:, part].clone(), whole.targets[:, part].clone()
        if place == 0:
            ids[:, 0] = self.end
        return Batch(ids, targets, documents_of(ids.numpy(), self.end), continues=index > 0)
