"""An encoder-decoder by slots: a slot keeps its own text's keys and values, and beside them those of its source."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import RunError
from inkstone.inference.prefill import device_of
from inkstone.layers.slot_cache import SlotCache
from inkstone.models.encoder_decoder import EncoderDecoder, Memory, Written


class SlottedWriter:
    """With `sources`, prompts are sources and the decoder begins anew; without, they are begun texts to an empty source."""

    def __init__(self, model: EncoderDecoder, slots: int, capacity: int, sources: bool):
        s = model.settings
        if sources and s.copying:
            raise RunError("a model that copies from its source is asked by: inkstone predict RUN TEXT")
        self.model, self.slots, self.capacity = model, slots, capacity
        self.tokenizer = model.tokenizer
        self.device = device_of(model)
        self.apart, self.rewinds, self.several = sources, not sources, True
        shape, like = (s.n_heads, s.width // s.n_heads), model.embedding.weight.detach()
        self.cache = SlotCache(s.decoder_layers, slots, shape[0], capacity, shape[1], like)
        self.memory = SlotCache(s.decoder_layers, slots, shape[0], capacity if sources else 1, shape[1], like)
        self.sources = torch.ones(slots, dtype=torch.long)  # tokens of each slot's source
        if not sources:
            with torch.inference_mode():
                self._remember(slice(0, slots), model.empty_source())

    @torch.inference_mode()
    def read(self, slot: int, ids: Sequence[int], start: int) -> Float[Tensor, " v"]:
        """As `Slotted.read`."""
        if self.apart:
            self._remember(slice(slot, slot + 1), self.model.encode(torch.tensor([ids], device=self.device)))
            self.sources[slot] = len(ids)
            ids, start = [self.model.first], 0
        return self._step(torch.tensor([ids]), torch.tensor([slot]), torch.tensor([start]))[0]

    @torch.inference_mode()
    def step(
        self, ids: Int[Tensor, " b"], slots: Int[Tensor, " b"], lengths: Int[Tensor, " b"]
    ) -> Float[Tensor, "b v"]:
        """As `Slotted.step`."""
        return self._step(ids[:, None], slots, lengths + 1 if self.apart else lengths)

    def copy(self, source: int, target: int, length: int) -> None:
        """As `Slotted.copy`."""
        if self.apart:
            self.memory.copy(source, target, int(self.sources[source]))
            self.sources[target] = self.sources[source]
            length += 1
        self.cache.copy(source, target, length)

    def _remember(self, slots: slice, memory: Memory) -> None:
        for layer, block in enumerate(self.model.decoder):
            keys, values = block.remember(memory.states)  # type: ignore[operator]
            self.memory.keys[layer, slots, :, : keys.shape[2]] = keys
            self.memory.values[layer, slots, :, : values.shape[2]] = values

    def _step(self, ids: Tensor, slots: Tensor, lengths: Tensor) -> Tensor:
        rows = self.cache.rows(slots, lengths, ids.shape[1])
        sources = self.sources[slots]
        longest = int(sources.max())
        visible = None
        if int(sources.min()) < longest:
            visible = (torch.arange(longest) < sources[:, None])[:, None].to(self.device)
        memory = [
            (rows.of(keys, longest), rows.of(values, longest))
            for keys, values in zip(self.memory.keys, self.memory.values, strict=True)
        ]
        scores, _ = self.model.step(ids.to(self.device), Written(rows, memory, visible), last=True)
        return scores[:, -1, : self.tokenizer.vocab_size].cpu()
