"""Model folders in Hugging Face layout: our runs and the checkpoints of others are opened and written alike.

config.json, model.safetensors (or shards with an index), tokenizer.json, tokenizer_config.json,
generation_config.json. Weights are safetensors only, so nothing that is opened can run code.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from inkstone.environment import pick_device
from inkstone.errors import RunError
from inkstone.files import whole_file, write_json
from inkstone.hub.download import local_folder
from inkstone.hub.headed_layout import is_headed, load_headed
from inkstone.hub.huggingface_config import architecture_of, config_from, settings_from
from inkstone.hub.huggingface_weights import TensorFiles, from_foreign, to_foreign, weight_files
from inkstone.hub.other_layouts import ADAPTERS, load_other
from inkstone.hub.own_layout import is_own, load_own, own_config, save_own
from inkstone.hub.quantised_layout import is_quantised, load_quantised
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.tokenizer import Tokenizer


class _Unfilled(TorchFunctionMode):
    """Leaves out the drawing of fresh weights: on "meta" there are none, and the first draw imports the compiler (2 s)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def load(
    folder: Path | str, *, device: torch.device | str = "cpu", dtype: torch.dtype | str | None = None
) -> LanguageModel:
    """The model of a run folder, a Hugging Face checkpoint folder, or a hub name ("organisation/name").

    `device` is "cpu", "cuda", or "auto" for a GPU where there is one.
    `dtype` is that of the weights in memory: "stored" for the one in the file; None for float32 on a CPU, where
    the short types are slow, and the stored one elsewhere. Weights that need no change stay mapped from the file,
    so that a large model opens in moments. The model is in evaluation mode.

    Raises RunError for a folder that is no finished model or an architecture that is not supported, CheckpointError
    for weights that are damaged or do not fit, InkstoneError for a name that cannot be fetched.
    """
    folder = local_folder(folder)
    config = read_config(folder)
    place = folder / "config.json"
    headed, own, other = is_headed(config), is_own(config), config.get("model_type") in ADAPTERS
    rounded = is_quantised(config)
    if not headed and not own and not other and not rounded:
        architecture, settings = architecture_of(config, place), settings_from(config, place)
    if not (folder / "tokenizer.json").exists():
        raise RunError(
            f"{folder} has no tokenizer.json; where it has another form of its tokenizer, convert it once with "
            f"transformers: AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained('NEW FOLDER')"
        )
    ends = config.get("eos_token_id")
    tokenizer = Tokenizer.load(folder, end=next(iter(ends), None) if isinstance(ends, list) else ends)
    if rounded:
        return load_quantised(config, folder, tokenizer, torch.device(pick_device(str(device))))
    if headed:
        return load_headed(config, folder, tokenizer, torch.device(pick_device(str(device))), dtype)  # type: ignore[return-value]
    if own:
        return load_own(config, folder, tokenizer, torch.device(pick_device(str(device))), dtype)  # type: ignore[return-value]
    if other:
        return load_other(config, folder, tokenizer, torch.device(pick_device(str(device))), dtype)  # type: ignore[return-value]
    if tokenizer.vocab_size > settings.vocab_size:
        raise RunError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, but the model only {settings.vocab_size} "
            "(vocab_size); they do not belong together"
        )
    with torch.device("meta"), _Unfilled():
        model = Decoder(settings, tokenizer)
    device = torch.device(pick_device(str(device)))
    with TensorFiles(folder, settings.layout) as files:
        stored = files.dtype()
        if dtype is None:
            dtype = torch.float32 if device.type == "cpu" else stored
        elif isinstance(dtype, str):
            dtype = stored if dtype == "stored" else getattr(torch, dtype)
        state = from_foreign(files, architecture, settings, dict(model.named_parameters()), dtype)  # type: ignore[arg-type]
    model.load_state_dict(state, assign=True)
    return model.to(device).eval()


def save(model: nn.Module, folder: Path | str, template: ChatTemplate | None = None) -> None:
    """Write a model and its tokenizer into a folder, and of a decoder its chat template; other files there stay as they are.

    A decoder's folder is one that transformers opens, those of the other families are of our own layout (`own_layout`).
    Each file is written whole or not at all, config.json, which makes the folder a model, as the last.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not isinstance(model, Decoder):
        save_own(model, folder)
        model.tokenizer.save(folder)  # type: ignore[union-attr, operator]
        write_json(folder / "config.json", own_config(model))
        return
    end = model.tokenizer.end
    config = config_from(model.settings, model.embedding.weight.dtype, end)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    with whole_file(folder / "model.safetensors") as part:
        save_file(to_foreign(model.settings, weights), part, metadata={"format": "pt"})
    model.tokenizer.save(folder)
    ends: int | list[int] = end
    if template is not None:
        template.save(folder)
        ends = sorted(template.ends)
    write_json(folder / "generation_config.json", {"bos_token_id": end, "eos_token_id": ends, "pad_token_id": end})
    write_json(folder / "config.json", config)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder. Raises RunError where there is none or it cannot be read."""
    path = folder / "config.json"
    if not path.exists():
        weight_files(folder)  # says more of a folder that has no weights either
        raise RunError(f"{folder} has no config.json; name a run folder or a Hugging Face checkpoint")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(config, dict):
        raise RunError(f"{path}: a {type(config).__name__}; it must be an object with the settings of a model")
    return config
