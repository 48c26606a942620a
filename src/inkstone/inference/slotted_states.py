"""Any language model by slots: each slot has a state of one row, and rows are read together where states can be joined.

Of a recurrent, convolutional or hidden Markov model or an n-gram, a state is the same size however much was read, but it cannot
be taken back to an earlier token: only all that a slot has read can be shared.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.inference.prefill import device_of
from inkstone.models.base import JoinsRows, LanguageModel


@dataclass(frozen=True)
class Together:
    """A state, and the slot that each of its rows belongs to."""

    state: Any
    slots: list[int]


class SlottedStates:
    """A state for each slot. Texts that write together stay in one state, until one leaves or another comes."""

    rewinds = False
    apart = False
    several = False

    def __init__(self, model: LanguageModel, slots: int, capacity: int):
        self.model, self.slots, self.capacity = model, slots, capacity
        self.tokenizer = model.tokenizer
        self.device = device_of(model)
        self.held: list[Together | None] = [None] * slots

    @torch.inference_mode()
    def read(self, slot: int, ids: Sequence[int], start: int) -> Float[Tensor, " v"]:
        """As `Slotted.read`."""
        state = self.model.start(1) if start == 0 else self._joined([slot])
        return self._step(torch.tensor([ids]), state, [slot])[0]

    @torch.inference_mode()
    def step(
        self, ids: Int[Tensor, " b"], slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"]
    ) -> Float[Tensor, "b v"]:
        """As `Slotted.step`."""
        rows = slots.tolist()
        held = self.held[rows[0]]
        assert held is not None
        if isinstance(held.state, JoinsRows):
            return self._step(ids[:, None], self._joined(rows), rows)
        alone = [self._step(ids[at : at + 1, None], self._joined([slot]), [slot]) for at, slot in enumerate(rows)]
        return torch.cat(alone)

    def copy(self, source: int, target: int, length: int) -> None:
        """As `Slotted.copy`; `length` is all that the source has read."""
        held = self.held[source]
        assert held is not None
        # A state may change itself when rows are selected, so the source keeps one of its own.
        row = torch.tensor([held.slots.index(source)], device=self.device)
        self.held[target] = Together(copy(held.state).select(row), [target])

    def _joined(self, slots: list[int]) -> Any:
        """The states of these slots as one."""
        parts = []
        for _, group in groupby(slots, key=lambda slot: id(self.held[slot])):
            rows = list(group)
            held = self.held[rows[0]]
            assert held is not None
            at = [held.slots.index(slot) for slot in rows]
            whole = rows == held.slots
            parts.append(held.state if whole else held.state.select(torch.tensor(at, device=self.device)))
        return parts[0] if len(parts) == 1 else parts[0].join(parts[1:])

    def _step(self, ids: Tensor, state: Any, slots: list[int]) -> Tensor:
        scores, state = self.model.step(ids.to(self.device), state, last=True)
        together = Together(state, slots)
        for slot in slots:
            self.held[slot] = together
        return scores[:, -1, : self.tokenizer.vocab_size].cpu()
