"""Where a run stands: the folder of a new one, and what becomes of it when nothing could be trained."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inkstone.errors import Interrupted, RunError
from inkstone.files import clear_unfinished
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.text.sources import STANDARD_INPUT


@contextmanager
def new_run(out: str | Path | None, recipe: Recipe, fresh: bool = False) -> Iterator[Run]:
    """A new run, claimed for this process; with `fresh` it takes the place of the run that stands in `out`.

    When an error ends the block before there is a plan to train by, everything is as it was: the folder is gone, and
    the run that was to be replaced stands again. An interrupted run stays, and can be gone on with.

    Raises RunError where the folder is taken or cannot be written.
    """
    folder = Path(out) if out is not None else free_folder(recipe)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    if fresh:
        set_aside(folder)
    try:
        run = Run.create(folder, recipe)
        with run.claimed():
            clear_unfinished(folder)
            try:
                yield run
            except Interrupted:
                raise
            except Exception:
                if not is_planned(run):
                    clear(folder)
                raise
    finally:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            bring_back(folder)
            for path in made:
                with suppress(OSError):
                    path.rmdir()


def name_of(recipe: Recipe) -> str:
    """What a run is called: the name of its text, after that of its task where it is one on examples."""
    source = recipe.text.sources[0]
    if source == STANDARD_INPUT:
        return "standard-input"
    name = Path(source.rstrip("/:").replace(":", "/")).name.split(".")[0] or "run"
    if recipe.task.name != "language-modelling":
        name = f"{recipe.task.name}-{name}"
    elif recipe.task.model is not None:
        name = f"adapted-{name}"
    return name[:60]  # no disk takes a name of more than 255 bytes


def free_folder(recipe: Recipe) -> Path:
    """runs/NAME, named for the text, numbered where that is taken."""
    name = name_of(recipe)
    folder, number = Path("runs") / name, 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    return folder


def set_aside(folder: Path) -> None:
    """Move the run in `folder` out of the way, until `let_go` or `bring_back`."""
    if not (folder / "recipe.toml").exists():
        return
    run, aside = Run(folder), _aside(folder)
    with run.claimed():
        if _is_run(aside) and not is_planned(
            run
        ):  # a replacement that never came to train: the older one is worth more
            shutil.rmtree(folder)
        else:
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(folder, aside)


def let_go(folder: Path) -> None:
    """Delete the run that was set aside, now that the new one can be trained."""
    if _is_run(_aside(folder)):
        shutil.rmtree(_aside(folder), ignore_errors=True)


def bring_back(folder: Path) -> None:
    """Put back the run that was set aside, into a folder that is empty or absent."""
    if _is_run(_aside(folder)):
        os.replace(_aside(folder), folder)


def is_planned(run: Run) -> bool:
    """Whether the run came as far as a plan, so that there is something to go on with."""
    try:
        return "plan" in run.facts()
    except RunError:
        return True


def clear(folder: Path) -> None:
    """Delete all that is in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _aside(folder: Path) -> Path:
    folder = folder.resolve()
    return folder.parent / f".{folder.name}.replaced"


def _is_run(folder: Path) -> bool:
    return (folder / "recipe.toml").exists()
