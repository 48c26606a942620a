"""The precision of a model's weights: what `--precision` of the verbs that write means."""

import torch

from inkstone.errors import RecipeError, RunError, nearest
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder
from inkstone.models.quantised_decoder import bits_of, dense, quantised

PRECISIONS = ("auto", "float32", "bfloat16", "int8", "int4")


def in_precision(model: LanguageModel, precision: str = "auto") -> LanguageModel:
    """The model with its matrices in a precision; it shares with the one that is given whatever stays as it is.

    "auto" leaves the numbers of the weights as they are. "float32" and "bfloat16" take every weight to that type. "int8" and
    "int4" round the matrices of a decoder to short integers (`layers/quantised_matrix.py`).

    Raises RecipeError for another name, RunError for integers of a model that is no decoder.
    """
    if precision not in PRECISIONS:
        raise RecipeError(f"there is no precision {precision!r}; {nearest(precision, PRECISIONS)}")
    if precision == "auto":
        return model
    bits = bits_of(model) if isinstance(model, Decoder) else None
    if precision in ("int8", "int4"):
        wanted = int(precision[3])
        if not isinstance(model, Decoder):
            raise RunError(f"only decoders can be rounded to {wanted} bits; leave out precision")
        if bits == wanted:
            return model
        if bits is not None:
            raise RunError(
                f"this model is rounded to {bits} bits already; round the run that it was made from to {wanted}"
            )
        return quantised(model, wanted)
    dtype = getattr(torch, precision)
    if bits is not None and isinstance(model, Decoder):
        model = dense(model)
    if not isinstance(model, torch.nn.Module):
        raise RunError(f"this model is not made of matrices and has no precision {precision!r}; leave out precision")
    if all(weight.dtype == dtype for weight in model.parameters() if weight.is_floating_point()):
        return model
    copy = type(model)(model.settings, model.tokenizer)  # type: ignore[call-arg, arg-type]
    copy.load_state_dict(model.state_dict())
    return copy.to(next(model.parameters()).device, dtype).eval()  # type: ignore[return-value]
