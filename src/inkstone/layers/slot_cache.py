"""Keys and values of texts that have lengths of their own, kept where they lie from the first token to the last.

Each text has a slot, and a slot has room for so many tokens from the beginning, so that texts come and go without moving
those beside them. One token of each of b texts is read together:

    K[slotᵢ, lengthᵢ] ← kᵢ,   V[slotᵢ, lengthᵢ] ← vᵢ,   attention(qᵢ, K[slotᵢ, ≤ lengthᵢ], V[slotᵢ, ≤ lengthᵢ])

where shorter texts are padded to the longest, and what lies beyond their own length is not visible.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.layers.kv_cache import KeyValueCache


class SlotCache:
    """Keys and values of each slot: two tensors (layers, slots, g, capacity, d)."""

    def __init__(self, n_layers: int, slots: int, n_kv_heads: int, capacity: int, head_width: int, like: Tensor):
        # Zeros, since what is hidden by a mask still enters sums, times nothing.
        self.keys = like.new_zeros(n_layers, slots, n_kv_heads, capacity, head_width)
        self.values = torch.zeros_like(self.keys)

    def rows(self, slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"], tokens: int = 1) -> "SlotRows":
        """The cache of a batch in which row i reads so many `tokens` into a slot that holds `lengths[i]`."""
        return SlotRows(self, slots, lengths, tokens)

    def copy(self, source: int, target: int, length: int) -> None:
        """The first `length` tokens of a slot into another."""
        for store in (self.keys, self.values):
            store[:, target, :, :length] = store[:, source, :, :length]


class SlotRows(KeyValueCache):
    """Some slots of a `SlotCache` as the cache of one batch. Slots and lengths lie on the CPU."""

    def __init__(self, store: SlotCache, slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"], tokens: int):
        super().__init__(len(store.keys), len(slots))
        device = store.keys.device
        self.store = store
        self.length = int(lengths.max())  # of the longest row
        self.end = self.length + tokens
        self._starts = lengths.to(device)
        self.slots = slots.to(device)
        first = int(slots[0])
        neighbours = bool((slots == torch.arange(first, first + len(slots))).all())
        self.block = slice(first, first + len(slots)) if neighbours else None  # slots side by side need no copies
        self.places = self._starts[:, None] + torch.arange(tokens, device=device)  # (b, t)
        if int(lengths.min()) < self.length:
            self.visible = torch.arange(self.end, device=device) <= self.places[..., None]

    @property
    def starts(self) -> Int[Tensor, " b"]:
        """The place of each row's next token."""
        return self._starts

    def extend(
        self, layer: int, k: Float[Tensor, "b g t d"], v: Float[Tensor, "b g t d"]
    ) -> tuple[Float[Tensor, "b g s d"], Float[Tensor, "b g s d"]]:
        """Put each row's keys and values in its slot, and give those of all rows up to the longest."""
        held = []
        for store, new in ((self.store.keys[layer], k), (self.store.values[layer], v)):
            store[self.slots[:, None], :, self.places] = new.transpose(1, 2)
            held.append(self.of(store, self.end))
        return held[0], held[1]

    def laid_out(
        self, tokens: int, like: Float[Tensor, "1 g 0 d"]
    ) -> tuple[list[Tensor], list[Tensor], Int[Tensor, " b"], Int[Tensor, " b"]]:
        """As `KeyValueCache.laid_out`, of all slots."""
        return list(self.store.keys), list(self.store.values), self.slots, self._starts

    def of(self, store: Float[Tensor, "slots g capacity d"], end: int) -> Float[Tensor, "b g s d"]:
        """What these slots hold of something before place `end`."""
        store = store[:, :, :end]
        return store[self.block] if self.block is not None else store.index_select(0, self.slots)
