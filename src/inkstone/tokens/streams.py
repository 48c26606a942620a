"""Batches in which each row goes on where it ended in the batch before: for models that carry a state along.

`PackedBatches` shuffles windows; a recurrent model that trains by truncated back-propagation wants them in order.
"""

import numpy as np
import torch

from inkstone.errors import RecipeError
from inkstone.tokens.batches import Batch, documents_of, read_circle
from inkstone.tokens.shards import TokenShards


class StreamBatches:
    """Batches of `rows` stretches of `context` tokens, by number; row r of batch i + 1 continues row r of batch i.

    The stream is a circle (it begins and ends with the same `end`), and each row goes round it without a break, from
    places evenly spaced after a random first one. So there is no wrap-around at which a state would have to be dropped;
    after one epoch each row stands where the next one began, and the places of the cuts differ from epoch to epoch unless
    rows · context divides the circle. Documents keep the order in which they were written: shuffle them before that.
    Nothing is kept between calls, so a run resumes at batch i by asking for batch i.
    """

    def __init__(self, shards: TokenShards, *, context: int, rows: int, seed: int):
        if context < 1 or rows < 1:
            raise RecipeError(f"context and rows must be at least 1, not {context} and {rows}")
        self.shards = shards
        self.context = context
        self.rows = rows
        self.seed = seed
        self.circle = shards.n_tokens - 1
        first = int(np.random.default_rng(seed).integers(self.circle))
        self.starts = [(first + row * self.circle // rows) % self.circle for row in range(rows)]

    @property
    def batches_per_epoch(self) -> float:
        """Batches in which every token comes once; seldom whole."""
        return self.circle / (self.rows * self.context)

    def epoch_of(self, index: int) -> int:
        """The epoch, from 0, of the first token of a batch."""
        return index * self.rows * self.context // self.circle

    def batch(self, index: int) -> Batch:
        """Batch number `index`, from 0: the same at every call."""
        window = np.empty((self.rows, self.context + 1), dtype=np.int64)
        for row, start in zip(window, self.starts, strict=True):
            read_circle(self.shards, (start + index * self.context) % self.circle, row)
        ids = torch.from_numpy(window)
        return Batch(
            ids[:, :-1].contiguous(),
            ids[:, 1:].contiguous(),
            documents_of(window[:, :-1], self.shards.end),
            continues=index > 0,
        )
