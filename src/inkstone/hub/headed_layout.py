"""A body with a head, as a run that was tuned for a task keeps it.

A language model that was tuned for a task which it does as such, as to converse, has a folder like any other, which all that opens
language models opens; what the task needs lies beside it in task.json. Of any other,
config.json holds the family and settings of the body, the head, and what the task needs to read and answer; the tensors lie
in model.safetensors as `body.NAME` and by their own names, the tokenizer beside them as everywhere.
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model

from inkstone.errors import CheckpointError, RecipeError, RunError
from inkstone.files import write_json
from inkstone.hub.own_layout import save_own
from inkstone.models import body_family
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tokens.tokenizer import Tokenizer

MODEL_TYPE = "inkstone-headed"
TASK = "task.json"  # beside a language model


def is_headed(config: dict[str, Any]) -> bool:
    """Whether a config.json is of this layout."""
    return config.get("model_type") == MODEL_TYPE


def task_beside(folder: Path) -> dict[str, Any] | None:
    """What the task of a tuned language model needs; None where no such file lies in the folder. Raises RunError for a damaged one."""
    path = folder / TASK
    if not path.is_file():
        return None
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(described, dict):
        raise RunError(f"{path}: a {type(described).__name__}; it must be an object with the settings of a task")
    return described


def save_headed(model: Headed, folder: Path, task: dict[str, Any]) -> None:
    """Write model, tokenizer and config.json, which makes the folder a model, as the last. `task` is kept as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    save_own(model, folder)
    model.tokenizer.save(folder)
    config = {
        "model_type": MODEL_TYPE,
        "body": {"family": model.body.family, "settings": asdict(model.body.settings)},
        "head": asdict(model.head),
        "task": task,
        "eos_token_id": model.tokenizer.end,
    }
    write_json(folder / "config.json", config)


def load_headed(
    config: dict[str, Any], folder: Path, tokenizer: Tokenizer, device: torch.device, dtype: torch.dtype | str | None
) -> Headed:
    """The model of a folder of this layout.

    Raises RunError for a configuration that cannot be read, CheckpointError for tensors that do not fit it.
    """
    place, weights = folder / "config.json", folder / "model.safetensors"
    if not weights.exists():
        from inkstone.run import Run  # with it comes the recipe, which a folder that opens does not need

        raise RunError(f"{folder} has no model.safetensors; the run has not ended: `{Run(folder).resuming()}`")
    try:
        body, head = config["body"], config["head"]
        kind = body_family(body["family"])
        settings = kind.Settings(**_tuples(kind.Settings, body["settings"]))
        model = Headed(kind(settings, tokenizer), HeadSettings(**_tuples(HeadSettings, head)))
    except (KeyError, TypeError, RecipeError) as error:
        raise RunError(f"{place}: no model with a head can be made of it ({error})") from None
    try:
        load_model(model, str(weights))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights}: damaged, or not of this model ({reason}); tune or copy it anew") from None
    if dtype not in (None, "stored"):
        model = model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
    return model.to(device).eval()


def _tuples(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where settings have tuples. Raises RecipeError for a name that is none of the settings."""
    unknown = values.keys() - {field.name for field in fields(kind)}
    if unknown:
        raise RecipeError(f"unknown settings: {', '.join(sorted(unknown))}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
