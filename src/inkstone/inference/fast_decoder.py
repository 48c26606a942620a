"""The fastest way that is known here to write with a model. All give the same log-probabilities, up to rounding:

- compiled code (`native/`), where there is a C++ compiler: every layout and precision, on a CPU;
- a decoder's matrices in the order in which PyTorch multiplies them fastest with few rows (`single_token.py`);
- the model itself.
"""

import torch
from torch import nn

from inkstone.errors import InkstoneError
from inkstone.inference.native import library
from inkstone.inference.native.decoder import NativeDecoder, fits
from inkstone.inference.single_token import MOST_ROWS, SingleToken, spare_memory_for
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder
from inkstone.models.quantised_decoder import bits_of, dense


def for_generation(model: LanguageModel, rows: int, compiled: bool | None = None, slots: bool = False) -> LanguageModel:
    """A model that gives the same log-probabilities faster, for about so many rows; the model itself where there is none.

    `compiled`: None takes the compiled code where it is there, and else has it made for the next time, waiting for nothing; True
    makes it first, and raises InkstoneError where that cannot be; False goes without. With `slots` rows have lengths of their own
    (`layers/slot_cache.py`). Ask anew when weights have changed: the result has copies of most of them, and reads the others where
    they are.
    """
    if not isinstance(model, Decoder) or model.omega.device.type != "cpu":
        if compiled:
            raise InkstoneError("only decoders on a CPU can be compiled; leave out compiled")
        return model
    if compiled is not False and fits(model) and spare_memory_for(model, _bytes_a_weight(model)):
        found = library.build() if compiled else library.find()
        if found is not None:
            return NativeDecoder(model, found)
        library.build_beside()
    elif compiled:
        raise InkstoneError(
            "this decoder's shape or type of numbers, or the free memory, does not go with compiled code; leave out compiled"
        )
    if bits_of(model) is not None and spare_memory_for(model):
        model = dense(model)  # integers alone save time where there is code for them
    single = model.positions is None and not slots and rows <= MOST_ROWS and _in_single_precision(model)
    return SingleToken(model, rows) if single and spare_memory_for(model) else model


def _bytes_a_weight(model: Decoder) -> float:
    bits = bits_of(model)
    return model.norm.weight.itemsize if bits is None else bits / 8 + 0.125  # type: ignore[union-attr, operator]


def _in_single_precision(model: Decoder) -> bool:
    plain = isinstance(model.embedding, nn.Embedding)
    return plain and all(weight.dtype == torch.float32 for weight in model.parameters())
