"""A decoder whose rows have lengths of their own: `Decoder.step` over the slots of a cache that is laid out once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import InkstoneError
from inkstone.inference.fast_decoder import FastDecoder, fast_decoder
from inkstone.inference.prefill import device_of
from inkstone.layers.slot_cache import SlotCache
from inkstone.models.decoder import Decoder


class SlottedDecoder:
    """Any layout, any precision, any device. Memory: 2 · layers · slots · key/value heads · capacity · head width numbers."""

    rewinds = True
    apart = False

    def __init__(self, model: Decoder, slots: int, capacity: int):
        s = model.settings
        self.model, self.slots, self.capacity = fast_decoder(model, slots, slots=True), slots, capacity
        self.tokenizer = model.tokenizer
        self.device = device_of(model)
        self.cache = SlotCache(s.n_layers, slots, s.n_kv_heads, capacity, s.head_width, model.norm.weight.detach())  # type: ignore[arg-type]

    def compile(self) -> None:
        """Have the step compiled, for one row and for several, and wait for it. Raises InkstoneError where that cannot be."""
        if not isinstance(self.model, FastDecoder):
            raise InkstoneError("only the step of a decoder on a CPU can be compiled; leave out compiled")
        for rows in {1, self.slots}:
            self.model.compile(rows)

    def compile_beside(self) -> None:
        """Have the step compiled by another process, beside whatever goes on, where that can be."""
        if isinstance(self.model, FastDecoder):
            self.model.compile_beside()

    def read(self, slot: int, ids: Sequence[int], start: int) -> Float[Tensor, " v"]:
        """As `Slotted.read`."""
        return self._step(torch.tensor([ids]), torch.tensor([slot]), torch.tensor([start]))[0]

    def step(
        self, ids: Int[Tensor, " b"], slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"]
    ) -> Float[Tensor, "b v"]:
        """As `Slotted.step`."""
        return self._step(ids[:, None], slots, lengths)

    def copy(self, source: int, target: int, length: int) -> None:
        """As `Slotted.copy`."""
        self.cache.copy(source, target, length)

    @torch.inference_mode()
    def _step(self, ids: Tensor, slots: Tensor, lengths: Tensor) -> Tensor:
        rows = self.cache.rows(slots, lengths, ids.shape[1])
        scores, _ = self.model.step(ids.to(self.device), rows, last=True)
        return scores[:, -1, : self.tokenizer.vocab_size].cpu()
