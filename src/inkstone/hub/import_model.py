"""Import: a checkpoint of others becomes a run folder, which every verb takes."""

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

from inkstone.environment import environment
from inkstone.errors import RunError
from inkstone.files import sha256, write_json, writing_fault
from inkstone.hub.download import local_folder
from inkstone.hub.export import copy_model
from inkstone.hub.folder import load, read_config
from inkstone.hub.own_layout import is_own
from inkstone.recipe import ModelSection, Recipe, TokenizerSection
from inkstone.run import Run


def import_model(source: Path | str, out: Path | str | None = None) -> Run:
    """Make a run folder of a checkpoint in Hugging Face layout, by its folder or hub name ("organisation/name").

    The verb on the command line is `inkstone import`; a Python function cannot have that name. The checkpoint is
    opened first, so that one which does not load leaves nothing behind; then its files are copied as they are.
    `facts.json` records where it came from, with a checksum of each file. `out` is by default runs/NAME.

    Raises RunError and CheckpointError as `load` does, and RunError where `out` holds something already.
    """
    folder = local_folder(source)
    model: Any = load(folder, dtype="stored")
    config = read_config(folder)
    if is_own(config):
        raise RunError(f"{folder} is a run of Inkstone already; use it as it is")
    out = Path("runs") / folder_name(source) if out is None else Path(out)
    run = Run.create(out, _recipe(model, folder))
    try:
        copies = copy_model(folder, run.folder)
        write_json(run.folder / "environment.json", environment())
        run.record(
            origin={
                "source": str(source),
                "architecture": str((config.get("architectures") or [config.get("model_type")])[0]),
                "parameters": model.n_parameters(),
                "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
                "files": {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in copies},
            }
        )
    except BaseException as error:
        shutil.rmtree(run.folder, ignore_errors=True)
        if fault := writing_fault(error):
            raise RunError(f"{run.folder}: the import could not be written ({fault}); nothing was left") from None
        raise
    return run


def folder_name(source: Path | str) -> str:
    """The last part of a path or hub name.

    >>> folder_name("Qwen/Qwen3-0.6B")
    'Qwen3-0.6B'
    """
    path = Path(source)
    return path.resolve().name if path.exists() else path.name


def _recipe(model: Any, folder: Path) -> Recipe:
    shape = {field.name: getattr(model.settings, field.name) for field in fields(model.settings)}
    known = {name: value for name, value in shape.items() if name in ModelSection.model_fields}
    return Recipe(
        tokenizer=TokenizerSection(vocab_size=model.settings.vocab_size, path=str(folder.resolve())),
        model=ModelSection(family=model.family, **known),
    )
