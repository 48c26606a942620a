"""Training batches from token shards: packed rows, a new order each epoch, any batch at any time by its number."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from inkstone.errors import RecipeError
from inkstone.tokens.shards import TokenShards


@dataclass(frozen=True)
class Batch:
    """Rows of packed documents.

    `document` numbers the documents within each row, from the `end` token that opens one to the last token before
    the next `end`; attention stays where the numbers agree. It is None when no row holds a boundary inside.
    Every target is valid: after the last token of a document comes `end`.
    """

    ids: Tensor  # (b, t) int64
    targets: Tensor  # (b, t) int64: the token after each of `ids`
    document: Tensor | None  # (b, t) int32
    continues: bool = False  # each row goes on where the same row of the batch before ended (tokens/streams.py)

    @property
    def places(self) -> int:
        """Tokens that are read."""
        return self.ids.numel()


def documents_of(ids: np.ndarray, end: int) -> Tensor | None:
    """The number of the document of each position of rows (b, t); None where no row holds a boundary inside."""
    opens = ids == end
    return torch.from_numpy(np.cumsum(opens, axis=1, dtype=np.int32)) if opens[:, 1:].any() else None


def read_circle(shards: TokenShards, start: int, into: np.ndarray) -> None:
    """Fill `into` with the tokens from `start` on, going round the stream, a circle, as often as needed."""
    circle, filled = shards.n_tokens - 1, 0
    while filled < len(into):
        stop = min(start + len(into) - filled, circle)
        into[filled : filled + stop - start] = shards.read(start, stop)
        filled += stop - start
        start = 0


class Batches(Protocol):
    """Training batches of one shape, by number."""

    context: int  # tokens of a row
    rows: int

    def batch(self, index: int) -> Batch:
        """Batch number `index`, from 0: the same at every call."""
        ...


class PackedBatches:
    """Batches of `rows` windows of `context` tokens, by number.

    The stream is a circle (it begins and ends with the same `end`). Each epoch turns it by a random offset, cuts it
    into windows side by side, and shuffles them; both draws depend on (seed, epoch) alone. What is left over, less
    than a window, differs from epoch to epoch. A corpus shorter than one window goes round until the window is full.
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
        self.windows_per_epoch = max(1, self.circle // context)
        self._order = lru_cache(maxsize=2)(self._draw_order)

    @property
    def batches_per_epoch(self) -> float:
        """Batches in which every window comes once; seldom whole, so a batch may reach into the next epoch."""
        return self.windows_per_epoch / self.rows

    def epoch_of(self, index: int) -> int:
        """The epoch, from 0, of the first row of a batch."""
        return index * self.rows // self.windows_per_epoch

    def batch(self, index: int) -> Batch:
        """Batch number `index`, from 0: the same at every call."""
        window = np.empty((self.rows, self.context + 1), dtype=np.int64)
        for row in range(self.rows):
            epoch, place = divmod(index * self.rows + row, self.windows_per_epoch)
            offset, order = self._order(epoch)
            read_circle(self.shards, (offset + int(order[place]) * self.context) % self.circle, window[row])
        document = documents_of(window[:, :-1], self.shards.end)
        rows = torch.from_numpy(window)
        return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous(), document)

    def _draw_order(self, epoch: int) -> tuple[int, np.ndarray]:
        generator = np.random.default_rng([self.seed, epoch])
        offset = int(generator.integers(self.circle))
        return offset, generator.permutation(self.windows_per_epoch)
