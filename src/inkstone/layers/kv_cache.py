"""Keys and values of what was read, kept so that no token passes through the model twice.

For one more token, a block attends with its one new query to the keys of all tokens before it, which never change:

    K ← [K; kₜ],   V ← [V; vₜ],   attention(qₜ, K, V)
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class KeyValueCache:
    """Keys and values of what was read: for each block two tensors (b, g, capacity, d), grown by doubling."""

    visible: Bool[Tensor, "b t s"] | None = None  # which of the keys a new token may see; None: all up to its own

    def __init__(self, n_layers: int, batch: int):
        self.batch = batch
        self.length = 0
        self.keys: list[Tensor | None] = [None] * n_layers
        self.values: list[Tensor | None] = [None] * n_layers

    @property
    def starts(self) -> int | Int[Tensor, " b"]:
        """The place of the next token: one for all rows, or that of each."""
        return self.length

    def extend(
        self, layer: int, k: Float[Tensor, "b g t d"], v: Float[Tensor, "b g t d"]
    ) -> tuple[Float[Tensor, "b g s d"], Float[Tensor, "b g s d"]]:
        """Append to one block's keys and values and return all of them. `length` moves once, after the last block."""
        end = self.length + k.shape[2]
        for store, new in ((self.keys, k), (self.values, v)):
            old = store[layer]
            if old is None or old.shape[2] < end:
                b, g, _, d = new.shape
                grown = new.new_empty(b, g, max(64, 1 << (end - 1).bit_length()), d)
                if old is not None:
                    grown[:, :, : self.length] = old[:, :, : self.length]
                store[layer] = old = grown
            old[:, :, self.length : end] = new
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]  # type: ignore[index]

    def select(self, rows: Int[Tensor, " n"]) -> "KeyValueCache":
        """Keep these rows in this order."""
        self.batch = len(rows)
        self.keys = [None if k is None else k.index_select(0, rows) for k in self.keys]
        self.values = [None if v is None else v.index_select(0, rows) for v in self.values]
        return self

    def keep(self, places: Int[Tensor, "b n"]) -> None:
        """Keep of what each row has read only these places, in this order."""
        self.length = places.shape[1]
        vectors = None
        for stores in (self.keys, self.values):
            for layer, store in enumerate(stores):
                if store is None:
                    continue
                b, g, capacity, d = store.shape
                if vectors is None:
                    heads = torch.arange(b * g, device=places.device).view(b, g, 1)
                    vectors = (heads * capacity + places[:, None]).flatten()
                stores[layer] = store.view(-1, d).index_select(0, vectors).view(b, g, self.length, d)
