"""Keys and values of what was read, kept so that no token passes through the model twice.

For one more token, a block attends with its one new query to the keys of all tokens before it, which never change:

    K ← [K; kₜ],   V ← [V; vₜ],   attention(qₜ, K, V)

What was read can be taken back, from its end (`truncate`) or from its midst (`forget`).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.layers.rotary import rotate


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
            self._grow(store, layer, end, new)[:, :, self.length : end] = new
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]  # type: ignore[index]

    def laid_out(
        self, tokens: int, like: Float[Tensor, "1 g 0 d"]
    ) -> tuple[list[Tensor], list[Tensor], Int[Tensor, " b"], Int[Tensor, " b"]]:
        """All keys and values of each block (rows, g, capacity, d) with room for so many more tokens, made `like` these where
        nothing was read yet; the place of each row among them, and how many tokens it holds."""
        like = like.expand(self.batch, -1, -1, -1)
        for stores in (self.keys, self.values):
            for layer in range(len(stores)):
                self._grow(stores, layer, self.length + tokens, like)
        lengths = torch.full((self.batch,), self.length)
        return self.keys, self.values, torch.arange(self.batch), lengths  # type: ignore[return-value]

    def _grow(self, stores: list[Tensor | None], layer: int, end: int, like: Tensor) -> Tensor:
        old = stores[layer]
        if old is not None and old.shape[2] >= end:
            return old
        b, g, _, d = like.shape
        grown = like.new_empty(b, g, max(64, 1 << (end - 1).bit_length()), d)
        if old is not None:
            grown[:, :, : self.length] = old[:, :, : self.length]
        stores[layer] = grown
        return grown

    def select(self, rows: Int[Tensor, " n"]) -> "KeyValueCache":
        """Keep these rows in this order; the numbers may lie on another device than what was read."""
        self.batch = len(rows)
        for stores in (self.keys, self.values):
            for layer, store in enumerate(stores):
                if store is not None:
                    rows = rows.to(store.device)
                    stores[layer] = store.index_select(0, rows)
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

    def truncate(self, length: int) -> "KeyValueCache":
        """Take back what was read after the first `length` tokens. Raises ValueError where fewer were read."""
        if not 0 <= length <= self.length:
            raise ValueError(f"length = {length}, but {self.length} tokens were read")
        self.length = length
        return self

    def forget(self, start: int, count: int, omega: Float[Tensor, " half"]) -> None:
        """Leave out `count` tokens from place `start` on; those after them move up, as if they had been read there.

        Keys that turned by their position turn back by `count`, since rotations add: R(p − n) = R(−n) R(p), with the
        frequencies `omega` of `layers/rotary.py`. What later tokens took from those that are left out stays in their values.
        """
        end = start + count
        if start < 0 or count < 0 or end > self.length:
            raise ValueError(f"places {start} to {end} cannot be left out, where {self.length} tokens were read")
        angles = (-count * omega).expand(self.length - end, -1)
        cos, sin = angles.cos(), angles.sin()
        for keys, values in zip(self.keys, self.values, strict=True):
            if keys is None or values is None:
                continue
            # What is moved overlaps the place that it moves to, so each right side is a copy.
            keys[:, :, start : self.length - count] = rotate(keys[:, :, end : self.length], cos, sin)
            values[:, :, start : self.length - count] = values[:, :, end : self.length].clone()
        self.length -= count
