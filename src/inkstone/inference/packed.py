"""An encoder-decoder's matrices in the order in which a CPU multiplies them fastest, for texts of many steps.

The usual product brings a matrix into blocks at every call. Where the same matrix is used again and again, that is done once.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from inkstone.inference.single_token import prepared, spare_memory_for
from inkstone.models.encoder_decoder import EncoderDecoder

ROWS = 128  # for which the blocks are chosen; they serve more and fewer


@dataclass(frozen=True)
class Writer:
    """A model that writes fast, and what makes logits of its states."""

    model: EncoderDecoder
    logits: Callable[[Tensor], Tensor]


class PackedLinear(nn.Module):
    """The map of a linear layer with its own copy of the weight, packed."""

    def __init__(self, weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None):
        super().__init__()
        self.product = prepared(weight, bias, ROWS)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Apply to the last axis."""
        return self.product(x.flatten(0, -2)).unflatten(0, x.shape[:-1])


def for_writing(model: EncoderDecoder) -> Writer:
    """A writer of the same texts; on a CPU in single precision, with memory to spare, one with its matrices packed.

    Weights that change later do not change in the copy.
    """
    weight = model.embedding.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or not spare_memory_for(model):
        return Writer(model, model.logits)
    kept = [model.tokenizer, *model.parameters(), *model.buffers()]  # what the copy shares
    packed = copy.deepcopy(model, {id(each): each for each in kept})
    for parent in [*packed.encoder.modules(), *packed.decoder.modules()]:
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear:
                setattr(parent, name, PackedLinear(layer.weight, layer.bias))
    return Writer(packed, PackedLinear(model.matrix, model.bias))
