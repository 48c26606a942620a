"""What a person names, turned into the files behind it: files, folders, `-`, `data:NAME`, `python:`."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inkstone.errors import TextError
from inkstone.files import nearest_path, sha256
from inkstone.text import datasets

STANDARD_INPUT = "-"
PYTHON = "python:"

Skip = Callable[[str, str], None]


@dataclass(frozen=True)
class SourceFile:
    """A file to read, its name in documents, and whether the person named the file itself."""

    path: Path
    label: str
    named: bool
    key: str | None = None  # of the list in it that is meant, where the file is a JSON object of several


def files(source: str, skip: Skip) -> Iterator[SourceFile]:
    """The files behind one source in a fixed order; what cannot be read goes to `skip`.

    Raises TextError for a path that does not exist, a named folder that cannot be listed and an unknown data set.
    """
    if source.startswith(datasets.PREFIX):
        for label, path in datasets.resolve(source.removeprefix(datasets.PREFIX)):
            yield SourceFile(path, label, named=True, key=label.partition("#")[2] or None)
        return
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise TextError(f"{source}: no such file or folder{_told_near(path)}") from None
    except OSError as error:  # a folder above it is closed, the name is too long, links lead in a circle
        raise TextError(f"{source}: cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        yield from _folder(path, skip)
    elif stat.S_ISREG(mode):
        yield SourceFile(path, _label(path), named=True)
    else:
        raise TextError(f"{source}: neither a file nor a folder")


def check_there(sources: Sequence[str | Path]) -> None:
    """Raises TextError for the first source behind which there is nothing, as `files` says it; nothing is read or fetched."""
    for source in map(str, sources):
        if source.startswith(datasets.PREFIX):
            datasets.find(source.removeprefix(datasets.PREFIX))
        elif source not in (STANDARD_INPUT, PYTHON):
            next(files(source, lambda file, reason: None), None)


def once(sources: Sequence[str | Path], skip: Skip) -> Iterator[SourceFile | str]:
    """The files behind all sources, each file once even if several names lead to it, and `-` and `python:` as they are."""
    seen: dict[tuple[int, int, str | None] | str, str] = {}
    for source in map(str, sources):
        if source in (STANDARD_INPUT, PYTHON):
            if source not in seen:
                yield source
            seen[source] = source
            continue
        for file in files(source, skip):
            status = _status(file.path)
            if status is None:  # let the opening of it tell why
                yield file
                continue
            key = (status.st_dev, status.st_ino, file.key)
            if key in seen:
                skip(file.label, f"the same file as {seen[key]}")
                continue
            seen[key] = file.label
            yield file


def _folder(folder: Path, skip: Skip) -> Iterator[SourceFile]:
    """Files below a folder, sorted by name; hidden ones left out; a folder that was entered is not entered again."""
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
        except OSError as error:
            closed = isinstance(error, PermissionError)
            skip(_label(path), "no permission to read it" if closed else "a broken link")
            continue
        if stat.S_ISDIR(status.st_mode):
            try:
                names = sorted(os.listdir(path), reverse=True)
            except OSError as error:
                if path == folder:
                    raise TextError(f"{folder}: the folder cannot be read: {error.strerror}") from error
                skip(_label(path), f"the folder cannot be read: {error.strerror}")
                continue
            if (status.st_dev, status.st_ino) in entered:
                skip(_label(path), "leads back into a folder that was already read")
                continue
            entered.add((status.st_dev, status.st_ino))
            waiting += [path / name for name in names if not name.startswith(".")]
        elif stat.S_ISREG(status.st_mode):
            yield SourceFile(path, _label(path), named=False)
        else:
            skip(_label(path), "not a regular file")


def _label(path: Path) -> str:
    """The path as text, whatever bytes the file system holds."""
    return os.fsencode(path).decode("utf-8", "replace")


def _status(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _told_near(path: Path) -> str:
    if not path.parent.exists():
        return f" (the folder {path.parent} does not exist)"
    near = nearest_path(path)
    return f"; did you mean {str(near)!r}?" if near else ""


def total_bytes(sources: Sequence[str | Path], opens: Callable[[SourceFile], bool] = lambda file: True) -> int | None:
    """Bytes on the disk behind the sources, those for which `opens` is true, for a progress line.

    None when some of them have none that could be told.
    """
    if {STANDARD_INPUT, PYTHON} & set(map(str, sources)):
        return None
    total = 0
    for file in once(sources, lambda source, reason: None):
        if isinstance(file, SourceFile) and opens(file):
            status = _status(file.path)
            total += status.st_size if status else 0
    return total


def checksums(sources: Sequence[str | Path]) -> dict[str, str]:
    """The SHA-256 of each file behind the sources, by its name; `-` and `python:` have none."""
    found = once(sources, lambda source, reason: None)
    return {file.label: sha256(file.path) for file in found if isinstance(file, SourceFile) and _status(file.path)}
