"""A decoder whose rows have lengths of their own: `Decoder.step` over the slots of a cache that is laid out once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.native.decoder import NativeDecoder
from inkstone.inference.prefill import device_of
from inkstone.layers.slot_cache import SlotCache
from inkstone.models.decoder import Decoder


class SlottedDecoder:
    """Any layout, any precision, any device. Memory: 2 · layers · slots · key/value heads · capacity · head width numbers."""

    rewinds = True
    apart = False
    several = True

    def __init__(self, model: Decoder, slots: int, capacity: int, compiled: bool | None = None):
        s = model.settings
        self.model = for_generation(model, slots, compiled, slots=True)
        self.slots, self.capacity = slots, capacity
        self.tokenizer = model.tokenizer
        self.device = device_of(model)
        native = isinstance(self.model, NativeDecoder)
        like: Tensor = self.model.cache_like if native else model.norm.weight.detach()  # type: ignore[assignment]
        self.cache = SlotCache(s.n_layers, slots, s.n_kv_heads, capacity, s.head_width, like)

    @torch.inference_mode()
    def read(self, slot: int, ids: Sequence[int], start: int) -> Float[Tensor, " v"]:
        """As `Slotted.read`."""
        if isinstance(self.model, NativeDecoder):
            places = torch.arange(start, start + len(ids))
            return self._read(torch.tensor(ids), torch.full_like(places, slot), places, places[-1:] - start)[0]
        return self._step(torch.tensor([ids]), torch.tensor([slot]), torch.tensor([start]))[0]

    @torch.inference_mode()
    def step(
        self, ids: Int[Tensor, " b"], slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"]
    ) -> Float[Tensor, "b v"]:
        """As `Slotted.step`."""
        if isinstance(self.model, NativeDecoder):
            return self._read(ids, slots, lengths, torch.arange(len(ids)))
        return self._step(ids[:, None], slots, lengths)

    def copy(self, source: int, target: int, length: int) -> None:
        """As `Slotted.copy`."""
        self.cache.copy(source, target, length)

    def _read(self, ids: Tensor, slots: Tensor, places: Tensor, wanted: Tensor) -> Tensor:
        assert isinstance(self.model, NativeDecoder)
        scores = self.model.read(ids, slots, places, wanted, list(self.cache.keys), list(self.cache.values))
        return scores[:, : self.tokenizer.vocab_size]

    def _step(self, ids: Tensor, slots: Tensor, lengths: Tensor) -> Tensor:
        rows = self.cache.rows(slots, lengths, ids.shape[1])
        scores, _ = self.model.step(ids.to(self.device), rows, last=True)
        return scores[:, -1, : self.tokenizer.vocab_size].cpu()
