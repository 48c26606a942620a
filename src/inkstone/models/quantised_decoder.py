"""A decoder whose matrices are small integers: any `Decoder`, with `QuantisedLinear` and `QuantisedEmbedding` in place of its own.

With 4 bits the embedding and the output matrix keep 8: they are looked at by every token, and what they lose shows the most.
So do matrices whose rows cannot be cut into groups.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from inkstone.errors import RunError
from inkstone.layers.quantised_matrix import QuantisedEmbedding, QuantisedLinear, QuantisedMatrix, group_of
from inkstone.models.decoder import Decoder

Matrices = Callable[[nn.Module, int], QuantisedMatrix]  # of a module with a weight, and the bits that it gets


def quantised(model: Decoder, bits: int) -> Decoder:
    """The same model with its matrices rounded; norms, biases and learned positions are shared with it where they are float32.

    Raises RecipeError for another number of bits than 4 or 8.
    """
    return _replaced(model, bits, lambda module, bits: QuantisedMatrix.of(module.weight, bits))  # type: ignore[arg-type]


def to_be_filled(model: Decoder, bits: int) -> Decoder:
    """The same model with quantised matrices of no content, whose tensors are loaded later."""
    return _replaced(model, bits, lambda module, bits: QuantisedMatrix(*module.weight.shape, bits))  # type: ignore[misc]


def bits_of(model: nn.Module) -> int | None:
    """4 or 8 for a quantised model, None for any other."""
    return min((matrix.bits for matrix in quantised_matrices(model)), default=None)


def refuse_rounded(model: nn.Module, place: object) -> None:
    """Raise RunError for a quantised model, whose integers cannot be learned further."""
    if (bits := bits_of(model)) is not None:
        raise RunError(f"{place} is rounded to {bits} bits and cannot learn; name the run that it was made from")


def quantised_matrices(model: nn.Module) -> Iterator[QuantisedMatrix]:
    """Its quantised matrices, each once."""
    return (module for module in model.modules() if isinstance(module, QuantisedMatrix))


def dense(model: Decoder) -> Decoder:
    """The same model with its matrices as the numbers that they stand for."""
    copy = _shell(model)
    copy.load_state_dict(_dense_state(model), assign=True)
    return copy.to(model.omega.device).eval()


def _dense_state(model: Decoder) -> dict[str, Tensor]:
    state = {name: parameter.detach() for name, parameter in model.named_parameters()}
    for name, module in model.named_modules():
        if isinstance(module, QuantisedLinear | QuantisedEmbedding):
            state[f"{name}.weight"] = module.weight
    return state


def _shell(model: Decoder) -> Decoder:
    with torch.device("meta"):
        return Decoder(model.settings, model.tokenizer)


def _replaced(model: Decoder, bits: int, matrix: Matrices) -> Decoder:
    copy = _shell(model)
    copy.load_state_dict(dict(model.named_parameters()), assign=True)
    copy.omega = model.omega
    for parent_name, parent in list(copy.named_modules()):
        for name, module in list(parent.named_children()):
            within = parent_name.startswith("blocks")
            if isinstance(module, nn.Linear):
                few = bits == 4 and within and group_of(module.in_features)
                setattr(parent, name, QuantisedLinear(matrix(module, 4 if few else 8), module.bias))
            elif isinstance(module, nn.Embedding) and name == "embedding":
                setattr(parent, name, QuantisedEmbedding(matrix(module, 8)))
    # From the embedding on all is in single precision, and so must be what it meets.
    for module in copy.modules():
        for name, kept in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(kept.detach().float(), requires_grad=False))
    return copy.eval()
