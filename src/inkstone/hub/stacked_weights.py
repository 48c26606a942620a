"""Our parameters and the tensors of a checkpoint that, laid under one another in equal parts, are the same numbers."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from inkstone.errors import CheckpointError

NEVER = -10_000.0  # a logit that no softmax gives anything to, and that half precision can hold


def places_of(
    ours: Mapping[str, Tensor], modules: Mapping[str, tuple[str, ...]], layers: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """For each of our parameters the names of its parts in a checkpoint.

    `modules` names the parts of a module; inside a list of blocks the list's own name is left out. `layers` gives the
    beginning of a name in each list of blocks, the number left open: {"blocks": "bert.encoder.layer.{}."}.
    """
    places = {}
    for name in ours:
        module, _, kind = name.rpartition(".")
        before, stack = "", module.partition(".")[0]
        if stack in layers:
            _, number, module = module.split(".", 2)
            before = layers[stack].format(number)
        parts = modules[module or kind]
        places[name] = tuple(f"{before}{part}.{kind}" if module else part for part in parts)
    return places


def stacked(
    places: Mapping[str, tuple[str, ...]], ours: Mapping[str, Tensor], tensors: Mapping[str, Tensor], place: Path | str
) -> dict[str, Tensor]:
    """Our parameters from the tensors of a checkpoint. `ours` gives the shapes.

    Raises CheckpointError that names what is missing or of another shape.
    """
    missing = sorted({part for parts in places.values() for part in parts} - tensors.keys())
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise CheckpointError(
            f"{place}: {', '.join(missing[:5])}{more} {'is' if len(missing) == 1 else 'are'} missing from the weights"
        )
    state = {}
    for name, parts in places.items():
        state[name] = tensors[parts[0]] if len(parts) == 1 else torch.cat([tensors[part] for part in parts])
        if state[name].shape != ours[name].shape:
            raise CheckpointError(
                f"{place}: {', '.join(parts)} make up the shape {tuple(state[name].shape)}; "
                f"the configuration asks for {tuple(ours[name].shape)}"
            )
    return state


def unstacked(places: Mapping[str, tuple[str, ...]], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint from our parameters."""
    tensors = {}
    for name, parts in places.items():
        for part, tensor in zip(parts, ours[name].detach().chunk(len(parts)), strict=True):
            tensors[part] = tensor.contiguous()
    return tensors
