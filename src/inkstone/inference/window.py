"""Text without end in bounded memory: the first tokens and the last ones stay in sight, those between are forgotten (Xiao et al.
2023, "Efficient Streaming Language Models with Attention Sinks").

    cache = [the first `sinks` tokens | the last ones],  positions by place in the cache

Heads that have nothing to look for put their weight on the first tokens; without these sinks the softmax would press it onto
others, and the text falls apart. Positions count from the cache's beginning, so that none is met that training did not have.

A full cache makes room for an eighth of its length at once, since moving it costs the same for one token as for many: so
between seven eighths and all of it are in sight. Nothing is read again. What stays still carries what it once took from tokens
that are forgotten.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from inkstone.inference.sampling import SamplingError
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder

SINKS = 4
AT_ONCE = 8  # a full cache forgets one part in so many


@dataclass(frozen=True)
class Window:
    """The tokens that stay in sight: the first `sinks` of a text, and after them its last, `length` in all."""

    length: int
    sinks: int = SINKS

    def __post_init__(self):
        """Refuse a window in which nothing would move."""
        if self.sinks < 0 or self.length < self.sinks + 2:
            raise SamplingError(
                f"window = {self.length} with sinks = {self.sinks}; sinks must be at least 0, and the window hold two tokens more"
            )

    @property
    def forgotten_at_once(self) -> int:
        """Tokens that make room when the window is full."""
        return max(1, (self.length - self.sinks) // AT_ONCE)

    def seen(self, read: Int[Tensor, "b t"]) -> Int[Tensor, "b n"]:
        """Of a text that is longer than the window, what is read of it."""
        last = self.length - self.sinks - self.forgotten_at_once
        return torch.cat((read[:, : self.sinks], read[:, -last:]), dim=1)

    def slide(self, model: Any, state: KeyValueCache) -> None:
        """Forget the oldest tokens after the sinks. `model`: a decoder, or the fast step of one."""
        state.forget(self.sinks, self.forgotten_at_once, getattr(model, "model", model).omega)


def window_of(
    model: LanguageModel,
    context: int | None,
    *,
    endless: bool = False,
    window: int | None = None,
    sinks: int | None = None,
) -> Window | None:
    """The window that is asked for, by default as long as the `context`; None where none is, or the state never fills.

    Raises SamplingError for a window longer than the context, and for models whose tokens cannot move up: those with learned
    positions, and those that keep no keys.
    """
    if not endless and window is None and sinks is None:
        return None
    decoder = getattr(model, "model", model)  # under the fast step
    if not isinstance(decoder, Decoder) or decoder.positions is not None or context is None:
        if window is None and sinks is None:
            return None  # such a model goes on without end by itself, or from its last half
        raise SamplingError("a window is for decoders with rotary positions; leave out window and sinks")
    if window is not None and window > context:
        raise SamplingError(
            f"window = {window}, but this model takes account of {context} tokens at once; at most as many"
        )
    return Window(window or context, SINKS if sinks is None else sinks)
