"""A quantised decoder, saved in a layout of our own.

config.json says `inkstone-quantised`, with the bits and the shape; model.safetensors holds each matrix as `NAME.matrix.numbers`
and `NAME.matrix.scale` (with 4 bits `NAME.matrix.offset` too; `layers/quantised_matrix.py` has the formula), and all else as it
is. The tokenizer lies beside them, and what a model that converses needs.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from inkstone.errors import CheckpointError, RecipeError, RunError
from inkstone.files import whole_file, write_json
from inkstone.layers.quantised_matrix import BITS
from inkstone.layers.rotary import RotaryScaling
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.quantised_decoder import bits_of, to_be_filled
from inkstone.tokens.tokenizer import Tokenizer

MODEL_TYPE = "inkstone-quantised"


def is_quantised(config: dict[str, Any]) -> bool:
    """Whether a config.json is of this layout."""
    return config.get("model_type") == MODEL_TYPE


def save_quantised(model: Decoder, folder: Path) -> None:
    """Write weights, tokenizer and config.json, which makes the folder a model, as the last; each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "model.safetensors") as part:
        tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
        save_file(tensors, part, metadata={"format": "pt"})
    model.tokenizer.save(folder)
    config = {
        "model_type": MODEL_TYPE,
        "bits": bits_of(model),
        "settings": asdict(model.settings),
        "eos_token_id": model.tokenizer.end,
    }
    write_json(folder / "config.json", config)


def load_quantised(config: dict[str, Any], folder: Path, tokenizer: Tokenizer, device: torch.device) -> Decoder:
    """The model of a folder of this layout; its integers stay as they are on every device.

    Raises RunError for a configuration that cannot be read, CheckpointError for tensors that do not fit it.
    """
    place, weights = folder / "config.json", folder / "model.safetensors"
    bits, values = config.get("bits"), config.get("settings")
    try:
        if bits not in BITS or not isinstance(values, dict):
            raise TypeError(f"bits = {bits!r} with the settings {values!r}")
        scaling = values.get("rotary_scaling")
        settings = DecoderSettings(**{**values, "rotary_scaling": RotaryScaling(**scaling) if scaling else None})
    except (RecipeError, TypeError) as error:
        raise RunError(f"{place}: not the settings of a quantised decoder ({error}); quantise the model anew") from None
    if tokenizer.vocab_size > settings.vocab_size:
        raise RunError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, but the model only {settings.vocab_size}; "
            "they do not belong together"
        )
    with torch.device("meta"):
        model = to_be_filled(Decoder(settings, tokenizer), bits)
    try:
        tensors = load_file(weights)
        for name, there in model.state_dict().items():
            stored = tensors.get(name)
            if stored is None or stored.shape != there.shape or stored.dtype != there.dtype:
                seen = "is missing" if stored is None else f"is {stored.dtype} {tuple(stored.shape)}"
                raise ValueError(f"{name} {seen}, and must be {there.dtype} {tuple(there.shape)}")
        model.load_state_dict(tensors, assign=True)
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{weights}: damaged, or not of this model ({reason}); quantise the model anew, or copy the folder again"
        ) from None
    return model.to(device).requires_grad_(False).eval()
