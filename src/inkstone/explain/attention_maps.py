"""Attention maps: how much each position of a text takes of each other one, in every layer and head of a Transformer.

    weights = softmax(Q Kᵀ / √d + mask)        (`layers/attention.py`)

They are computed from what enters each block while the model reads the text as it always does; what other threads read with the same
model meanwhile takes no part. They say where values were taken
from, not why: a head may look at a token that says little, since its share must go somewhere (Jain & Wallace 2019, "Attention is
not Explanation"; the first token often takes it, Xiao et al. 2024, "attention sinks").
"""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from threading import get_ident
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import InkstoneError
from inkstone.layers.attention import attention_weights
from inkstone.models.decoder import Decoder
from inkstone.models.encoder import Encoder
from inkstone.models.encoder_decoder import EncoderDecoder

Maps = dict[str, Float[Tensor, "layers heads t s"]]


class NoAttentionError(InkstoneError):
    """A model that attends to nothing, or in a way that is not shown."""


def has_attention(model: Any) -> bool:
    """Whether `attention_maps` can be asked of a model or of the body of a tuned one."""
    return isinstance(_body(model), Decoder | Encoder | EncoderDecoder)


@torch.inference_mode()
def attention_maps(
    model: Any, ids: Sequence[int], *, types: Sequence[int] | None = None, written: Sequence[int] | None = None
) -> Maps:
    """The weights of all layers and heads, each row of which sums to one.

    A decoder gives {"decoder"}, an encoder {"encoder"} (`types`: the segment of each token), and an encoder-decoder, with `ids` its
    source and `written` what it reads of its own text, {"encoder", "decoder", "cross"}, the last from its text to the source.

    Raises NoAttentionError for a model without attention.
    """
    body = _body(model)
    if not has_attention(body):
        family = getattr(body, "family", type(body).__name__)
        raise NoAttentionError(f"a model of the family {family!r} has no attention to show; decoders and encoders have")
    device = next(body.parameters()).device
    row = torch.tensor([list(ids)], device=device)
    training = body.training
    body.eval()
    try:
        if isinstance(body, Decoder):
            return {"decoder": _watched(body.blocks, partial(body.hidden, row), causal=True)}
        if isinstance(body, Encoder):
            segments = None if types is None else torch.tensor([list(types)], device=device)
            return {"encoder": _watched(body.blocks, partial(body.encode, row, types=segments), causal=False)}
        return _of_both(body, row, torch.tensor([[body.first] if written is None else list(written)], device=device))
    finally:
        body.train(training)


def _body(model: Any) -> Any:
    return getattr(model, "body", model)


def _watched(blocks: nn.ModuleList, read: Any, causal: bool) -> Float[Tensor, "layers heads t t"]:
    """The weights within the text while `read` is called."""
    found: list[Tensor] = []
    thread = get_ident()

    def watch(block: Any, given: tuple, named: dict) -> None:
        if get_ident() != thread:
            return
        x = given[0]
        turn = given[1] if len(given) > 1 else named.get("turn")
        q, k, _ = block.heads(x, turn)
        found.append(attention_weights(q, k, causal=causal)[0])

    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.register_forward_pre_hook(watch, with_kwargs=True).remove)
        read()
    return torch.stack(found).float().cpu()


def _of_both(body: EncoderDecoder, source: Int[Tensor, "1 s"], written: Int[Tensor, "1 t"]) -> Maps:
    """Of the source, of what is written, and from the latter to the former."""
    memories = []
    encoder = _watched(body.encoder, lambda: memories.append(body.encode(source)), causal=False)
    across: list[Tensor] = []
    thread = get_ident()

    def watch(block: Any, projection: nn.Module, given: tuple, queries: Tensor) -> None:
        if get_ident() != thread:
            return
        keys, _ = block.remember(memories[0].states)
        across.append(attention_weights(block.cross_heads(queries), keys, causal=False)[0])

    with ExitStack() as stack:
        for block in body.decoder:
            stack.callback(block.cross_query.register_forward_hook(partial(watch, block)).remove)  # type: ignore[union-attr]
        decoder = _watched(body.decoder, lambda: body.hidden(written, memory=memories[0]), causal=True)
    return {"encoder": encoder, "decoder": decoder, "cross": torch.stack(across).float().cpu()}
