"""Import: a checkpoint of others becomes a run folder, which every verb takes."""

import shutil
from pathlib import Path

from inkstone.environment import environment
from inkstone.errors import RunError
from inkstone.files import sha256, write_json, writing_fault
from inkstone.hub.download import local_folder
from inkstone.hub.export import copy_model
from inkstone.hub.folder import load, read_config
from inkstone.hub.huggingface_config import architecture_of
from inkstone.models.decoder import Decoder
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
    model = load(folder, dtype="stored")
    if not isinstance(model, Decoder):
        raise RunError(f"{folder} is a run of Inkstone already; use it as it is")
    out = Path("runs") / folder_name(source) if out is None else Path(out)
    run = Run.create(out, _recipe(model, folder))
    try:
        copies = copy_model(folder, run.folder)
        write_json(run.folder / "environment.json", environment())
        run.record(
            origin={
                "source": str(source),
                "architecture": architecture_of(read_config(folder), folder / "config.json"),
                "parameters": model.n_parameters(),
                "dtype": str(model.embedding.weight.dtype).removeprefix("torch."),
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


def _recipe(model: Decoder, folder: Path) -> Recipe:
    s = model.settings
    shape = (
        "layout",
        "width",
        "n_layers",
        "n_heads",
        "n_kv_heads",
        "head_width",
        "hidden",
        "context",
        "tied",
        "dropout",
    )
    return Recipe(
        tokenizer=TokenizerSection(vocab_size=s.vocab_size, path=str(folder.resolve())),
        model=ModelSection(family="decoder", **{name: getattr(s, name) for name in shape}),
    )
