"""Durable files: each is written whole or not at all, and each can be told from a damaged one."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any


def nearest_path(path: Path) -> Path | None:
    """What lies in the same folder under the name nearest to that of `path`, which does not exist; None where none is near."""
    try:
        close = get_close_matches(path.name, os.listdir(path.parent), n=1)
    except OSError:
        return None
    return path.with_name(close[0]) if close else None


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Systems that cannot open a folder skip it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends without error, that file becomes `path` in one step.

    The old file, if any, stays as it was until then. Nothing is left behind when the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
        fsync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block ends without error, it becomes `path` in one step.

    An older folder of that name is replaced only after the new one is complete on the disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                with open(file, "rb+") as handle:
                    os.fsync(handle.fileno())
            else:
                fsync_folder(file)
        fsync_folder(part)
        os.chmod(part, 0o755)
        if path.exists():
            old = path.with_name(f".{path.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
            try:
                os.replace(part, path)
            except BaseException:
                os.replace(old, path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(part, path)
        fsync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def clear_unfinished(folder: Path) -> None:
    """Take away what `whole_file` and `whole_folder` left below `folder` when their process was killed.

    A folder that was about to be replaced, and is missing, gets its old content back.
    """
    for old in list(folder.rglob(".*.old")):
        path = old.with_name(old.name[1 : -len(".old")])
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, path)
    for part in list(folder.rglob(".*.part")):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def writing_fault(error: BaseException) -> str | None:
    """Why a file could not be written, or None where `error` says something else.

    Libraries written in Rust put the system's reason into exceptions of their own.

    >>> writing_fault(OSError(28, "No space left on device"))
    'No space left on device'
    >>> writing_fault(ValueError("while writing: I/O error: No space left on device (os error 28)"))
    'No space left on device'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    found = re.search(r"([^:]+) \(os error \d+\)", str(error))
    if found:
        return found[1].strip()
    return str(error) if isinstance(error, OSError) else None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def sha256(path: Path, report: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file as hexadecimal digits; `report` is told of every block's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            if report:
                report(len(block))
    return digest.hexdigest()
