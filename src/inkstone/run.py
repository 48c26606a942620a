"""The run folder: everything that a run leaves behind, each file whole or absent.

recipe.toml        the recipe, resolved              metrics.jsonl   one JSON object a line, the source of every plot
config.json        ┐                                 facts.json      what each stage found: the source of the report
model.safetensors  │ the model in Hugging Face       environment.json  machine and versions
tokenizer.json     ┘ layout                          report.html, README.md   rendered from the two above
checkpoints/       states to go on from              shards/train, shards/held-out   the text as tokens
                                                     shards/old-train, shards/old-held-out   what an adapted model read before
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inkstone.errors import InkstoneError, RunError
from inkstone.files import nearest_path, write_json, write_text
from inkstone.recipe import Recipe, load_recipe

TRAINING = "language-modelling"  # the task of a recipe that names none


def is_training(recipe: Recipe) -> bool:
    """Whether a recipe is one of `inkstone train`: it names neither a task nor a model to go on from."""
    return recipe.task.name == TRAINING and recipe.task.model is None


class Run:
    """A run folder by its path; nothing is held in memory but the open journal of metrics."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    @classmethod
    def create(cls, folder: Path | str, recipe: Recipe) -> "Run":
        """A new run in an absent or empty folder. A folder that holds anything else is refused and left as it is."""
        run = cls(folder)
        try:
            if run.folder.exists() and not run.folder.is_dir():
                raise RunError(f"{run.folder} is a file; name a folder for the run")
            if run.recipe_path.exists():
                raise RunError(
                    f"{run.folder} already holds a run; go on with it by `{run.resuming()}`, "
                    "replace it with --fresh, or choose another --out"
                )
            if run.folder.exists() and any(not _unfinished_recipe(path) for path in run.folder.iterdir()):
                raise RunError(f"{run.folder} is not empty and not a run; choose another --out")
            run.folder.mkdir(parents=True, exist_ok=True)
            recipe.save(run.recipe_path)
        except OSError as error:
            raise RunError(
                f"{run.folder}: a run cannot be written here ({error.strerror}); choose another --out"
            ) from None
        return run

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """An existing run."""
        run = cls(folder)
        if not run.recipe_path.exists():
            near = None if run.folder.exists() else nearest_path(run.folder)
            hint = f"; did you mean {str(near)!r}?" if near else ""
            raise RunError(f"{run.folder} is not a run folder (it has no recipe.toml){hint}")
        return run

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes from training in this folder meanwhile. The claim of a killed process ends with it.

        Raises RunError where another one holds it. On a system or disk without locks nothing is checked.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{self.folder} is in use: another process trains in it; wait for it or end it"
                ) from None
            except OSError:
                pass
            yield
        finally:
            os.close(descriptor)

    @property
    def recipe_path(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.toml"

    @property
    def metrics_path(self) -> Path:
        """The journal of the run."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def train_shards(self) -> Path:
        """The training text as tokens."""
        return self.folder / "shards" / "train"

    @property
    def held_out_shards(self) -> Path:
        """The text kept aside for scoring, as tokens."""
        return self.folder / "shards" / "held-out"

    @property
    def old_train_shards(self) -> Path:
        """Of a run that adapted a model: the text that the model had read before."""
        return self.folder / "shards" / "old-train"

    @property
    def old_held_out_shards(self) -> Path:
        """Of a run that adapted a model: what forgetting is measured on."""
        return self.folder / "shards" / "old-held-out"

    def recipe(self) -> Recipe:
        """The recipe as it stands in the folder."""
        return load_recipe(self.recipe_path)

    def resuming(self) -> str:
        """The command that goes on with it: that of training, or of tuning where the recipe names a task or a model."""
        try:
            fresh = is_training(self.recipe())
        except InkstoneError:  # what stands there is no recipe
            fresh = True
        return f"inkstone {'train' if fresh else 'tune'} --resume {self.folder}"

    def facts(self) -> dict[str, Any]:
        """What the stages recorded, by stage: text, tokenizer, plan, training, evaluation, samples, ..."""
        path = self.folder / "facts.json"
        if not path.exists():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{path}: damaged, it is no JSON ({error}); train again with --fresh") from None

    def record(self, **stages: Any) -> None:
        """Add or replace the facts of one or several stages."""
        write_json(self.folder / "facts.json", {**self.facts(), **stages})

    def log(self, kind: str, **values: Any) -> None:
        """Append one line to the journal: {"kind": ..., "time": seconds since 1970, ...}. Raises OSError."""
        line = json.dumps({"kind": kind, "time": round(time.time(), 3), **values}, ensure_ascii=False) + "\n"
        with open(self.metrics_path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = "\n" + line  # the line before was torn by a crash or a full disk
            file.write(line.encode())

    def metrics(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """The journal's lines; a last line torn by a crash is passed over."""
        if not self.metrics_path.exists():
            return
        with open(self.metrics_path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if isinstance(entry, dict) and kind in (None, entry.get("kind")):
                    yield entry

    def rewind_metrics(self, step: int) -> None:
        """Take out the lines of steps after `step`, which a resumed run will write again."""
        if not self.metrics_path.exists():
            return
        kept = [entry for entry in self.metrics() if entry.get("step", 0) <= step]
        write_text(self.metrics_path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept))


def _unfinished_recipe(path: Path) -> bool:
    """Whether this is what a process left that was killed while it made a run: nothing worth keeping."""
    return path.name.startswith(".recipe.toml.") and path.name.endswith(".part")
