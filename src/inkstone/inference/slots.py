"""Which slot holds what, and which text may have it: the prefix cache.

A slot whose text is over keeps what it holds. A new prompt that begins as a slot does, under way or over, need not be read
so far: a slot that is free and holds nothing else is taken as it is, else the common beginning is copied into the slot that
was used longest ago.
"""

from collections.abc import Sequence
from itertools import count

import numpy as np
from jaxtyping import Int

from inkstone.inference.slotted import Slotted

SHORTEST_COPY = 8  # tokens that are worth a copy


class Slots:
    """The slots of one model, and so of one set of weights."""

    def __init__(self, model: Slotted):
        self.model = model
        self.held = np.zeros((model.slots, model.capacity), dtype=np.int64)  # ids
        self.lengths = np.zeros(model.slots, dtype=np.int64)  # tokens held
        self.taken = np.zeros(model.slots, dtype=bool)
        self.used = np.zeros(model.slots, dtype=np.int64)  # when it was last let go
        self.clock = count(1)

    def take(self, prompt: Int[np.ndarray, " n"]) -> tuple[int, int]:
        """One of the free slots for a prompt, and how many tokens of it the slot already holds.

        The last token of a prompt is always read, since what may follow is only known then.
        """
        free = np.flatnonzero(~self.taken)
        oldest = int(free[self.used[free].argmin()])
        common = self._common(prompt[:-1])
        # Of those that hold as much, one that is free, and whole.
        source = int(np.lexsort((common == self.lengths, ~self.taken, common))[-1])
        length = int(common[source])
        if not self.taken[source] and length and (length == self.lengths[source] or source == oldest):
            slot = source
        else:
            slot, length = oldest, length if length >= SHORTEST_COPY else 0
            if length:
                self.copy(source, slot, length)
        self.taken[slot] = True
        self.lengths[slot] = length
        return slot, length

    def copy(self, source: int, target: int, length: int) -> None:
        """Let a slot hold the beginning of another."""
        self.model.copy(source, target, length)
        self.held[target, :length] = self.held[source, :length]
        self.lengths[target] = length

    def add(self, slot: int, ids: Sequence[int]) -> None:
        """Note what was read into a slot."""
        start = self.lengths[slot]
        self.held[slot, start : start + len(ids)] = ids
        self.lengths[slot] += len(ids)

    def free(self, slot: int, keep: bool = True) -> None:
        """Let a slot go; without `keep`, what it holds is not to be relied on."""
        self.taken[slot] = False
        self.used[slot] = next(self.clock) if keep else 0
        if not keep:
            self.lengths[slot] = 0

    def _common(self, prompt: Int[np.ndarray, " n"]) -> Int[np.ndarray, " slots"]:
        """How many tokens of a prompt each slot could give."""
        if self.model.apart:
            return np.zeros_like(self.lengths)
        n = min(len(prompt), self.held.shape[1])
        differs = self.held[:, :n] != prompt[:n]
        differs |= np.arange(n) >= self.lengths[:, None]
        common = np.where(differs.any(1), differs.argmax(1) if n else 0, n)
        return common if self.model.rewinds else np.where(common == self.lengths, common, 0)
