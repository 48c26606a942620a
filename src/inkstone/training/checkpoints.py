"""Checkpoints: states to go on from, each complete or not there, and each able to tell that it was damaged.

checkpoints/step-00000120/
    model.safetensors       weights, by our own names
    optimizer.safetensors   momentum and such, "OPTIMIZER.PARAMETER.NAME"
    state.json              step, tokens, seconds, random state, ...
    manifest.json           bytes and SHA-256 of the three
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from inkstone.errors import CheckpointError
from inkstone.files import sha256, whole_folder, write_json

KEPT = 2  # the newest, and the one before it in case the newest is damaged later


@dataclass
class Checkpoint:
    """A checkpoint read back, its bytes verified."""

    folder: Path
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path, weights: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor], state: dict[str, Any]
) -> Path:
    """Write the checkpoint of `state["step"]` and let the oldest go.

    When it cannot be written, nothing is changed and the error of the system is raised (`files.writing_fault`).
    """
    path = folder / f"step-{state['step']:08d}"
    with whole_folder(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part / "model.safetensors")
        save_file({name: tensor.contiguous() for name, tensor in optimizer.items()}, part / "optimizer.safetensors")
        write_json(part / "state.json", state)
        files = sorted(part.iterdir())
        write_json(
            part / "manifest.json",
            {file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in files},
        )
    past = [other for other in list_checkpoints(folder) if other.name <= path.name]
    for other in list_checkpoints(folder):
        if other not in past[:KEPT]:  # old ones, and those of later steps, which were damaged and passed over
            shutil.rmtree(other, ignore_errors=True)
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, the newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises CheckpointError that names the file whose bytes are not what was written."""
    manifest_path = path / "manifest.json"
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        listed = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{manifest_path}: damaged or missing ({error})") from None
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        file = path / name
        if name not in listed:
            raise CheckpointError(f"{manifest_path}: does not list {name}")
        size, digest = listed[name]
        if not file.exists():
            raise CheckpointError(f"{file}: missing")
        if file.stat().st_size != size:
            raise CheckpointError(f"{file}: {file.stat().st_size} bytes, but {size} were written")
        try:
            whole = sha256(file) == digest
        except OSError as error:
            raise CheckpointError(f"{file}: cannot be read ({error.strerror})") from None
        if not whole:
            raise CheckpointError(f"{file}: damaged, its SHA-256 is not the one that was written")
    return Checkpoint(
        path,
        load_file(path / "model.safetensors"),
        load_file(path / "optimizer.safetensors"),
        json.loads((path / "state.json").read_text(encoding="utf-8")),
    )


def newest_checkpoint(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint, or None where there is none; damaged ones are named through `say` and passed over."""
    paths = list_checkpoints(folder)
    for number, path in enumerate(paths, start=1):
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            rest = (
                "going back to the checkpoint before it" if number < len(paths) else "no checkpoint before it is left"
            )
            say(f"{error}; {rest}")
    return None
