"""Families that no other program has a layout for, saved in one of our own.

config.json names the family and holds its settings; the tensors lie in model.safetensors under their names in the model,
and the tokenizer beside them as everywhere.
"""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_model
from torch import nn

from inkstone.errors import CheckpointError, RecipeError, RunError
from inkstone.files import whole_file
from inkstone.models import family
from inkstone.models.base import CountedModel
from inkstone.tokens.tokenizer import Tokenizer

PREFIX = "inkstone-"


def is_own(config: dict[str, Any]) -> bool:
    """Whether a config.json is of this layout."""
    return str(config.get("model_type", "")).startswith(PREFIX)


def own_config(model: Any) -> dict[str, Any]:
    """config.json of a model of any family."""
    return {
        "model_type": PREFIX + model.family,
        "settings": asdict(model.settings),
        "eos_token_id": model.tokenizer.end,
    }


def save_own(model: nn.Module, folder: Path) -> None:
    """Write model.safetensors, whole or not at all; a tensor that two names share is written once."""
    with whole_file(folder / "model.safetensors") as part:
        save_model(model, str(part), metadata={"format": "pt"})


def load_own(
    config: dict[str, Any], folder: Path, tokenizer: Tokenizer, device: torch.device, dtype: torch.dtype | str | None
) -> nn.Module:
    """The model of a folder of this layout. A counted model stays on the CPU, its large tables mapped from the file.

    Raises RunError for a configuration that cannot be read, CheckpointError for tensors that do not fit it.
    """
    place, weights = folder / "config.json", folder / "model.safetensors"
    if not weights.exists():
        from inkstone.run import Run  # with it comes the recipe, which a folder that opens does not need

        raise RunError(f"{folder} has no model.safetensors; the run has not ended: `{Run(folder).resuming()}`")
    values = config.get("settings")
    try:
        kind = family(str(config["model_type"])[len(PREFIX) :])
        known = {field.name for field in fields(kind.Settings)}
        if not isinstance(values, dict) or not values.keys() <= known:
            raise RunError(f"{place}: its settings are not those of the family {kind.family!r}: {values}")
        settings = kind.Settings(**values)
    except (RecipeError, TypeError) as error:
        raise RunError(f"{place}: {error}") from None
    if tokenizer.vocab_size != settings.vocab_size:
        raise RunError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, but the model {settings.vocab_size}; "
            "they do not belong together"
        )
    try:
        model: Any
        if hasattr(kind, "from_tensors"):
            model = kind.from_tensors(settings, tokenizer, load_file(weights))
        else:
            model = kind(settings, tokenizer)
            load_model(model, str(weights))
    except (SafetensorError, RuntimeError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights}: damaged, or not of this model ({reason}); train or copy it anew") from None
    if issubclass(
        kind, CountedModel
    ):  # looked up, not multiplied: in NumPy, in the precision that they were counted in
        return model.eval()
    if dtype not in (None, "stored"):
        model = model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
    return model.to(device).eval()
