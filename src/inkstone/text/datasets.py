"""Named public data sets: where they come from, under which licence, whom to cite, and the checksum of every file.

The table is `datasets.toml`. `data:NAME` is found in the folder that `INKSTONE_DATA` names (a mirror with files
`NAME/FILE.xz`; nothing else is tried then), else in the cache, else at its public address.
"""

import hashlib
import os
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from inkstone.errors import TextError, nearest
from inkstone.files import sha256, whole_file

PREFIX = "data:"
MIRROR = "INKSTONE_DATA"
CACHE = "INKSTONE_CACHE"
DOUBTFUL = "DOUBTFUL:"  # the beginning of a licence that is not stated
GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, or a list in it."""

    name: str  # with the key of the list after #, where the file is an object of several: "data_full.json#train"
    packed_sha256: str  # of NAME.xz in a mirror
    sha256: str  # of the file itself
    address: str | None = None  # of a public file with exactly these bytes
    part: str = "train"  # "train", "valid" or "test"; a test part is read only when it is named

    @property
    def file(self) -> str:
        """The name of the file itself."""
        return self.name.partition("#")[0]


@dataclass(frozen=True)
class Dataset:
    """A public data set; `source` is the place where its files, or what they were cut from, are public."""

    title: str
    languages: tuple[str, ...]
    licence: str
    citation: str
    source: str
    files: tuple[DataFile, ...]


def table() -> dict[str, Dataset]:
    """The data sets of `datasets.toml` by their names."""
    written = tomllib.loads(files("inkstone.text").joinpath("datasets.toml").read_text(encoding="utf-8"))
    return {name: _dataset(**entry) for name, entry in written.items()}


def _dataset(languages: list[str], files: list[dict[str, str]], base: str = "", **told: str) -> Dataset:
    found = tuple(
        DataFile(
            file["name"],
            file["packed"],
            file["sha256"],
            base + file["address"] if "address" in file else None,
            file.get("part", "train"),
        )
        for file in files
    )
    return Dataset(languages=tuple(languages), files=found, **told)


DATASETS = table()


def find(name: str) -> tuple[Dataset, tuple[DataFile, ...]]:
    """The data set and the files that `NAME` or `NAME/FILE` means; test and validation parts only when named.

    >>> [file.name for file in find("wikitext-2")[1]], [file.part for file in find("wikitext-2/test.txt")[1]]
    (['train.txt'], ['test'])
    """
    name, _, wanted = name.partition("/")
    if name not in DATASETS:
        raise TextError(f"there is no data set {name!r}; {nearest(name, DATASETS)}")
    dataset = DATASETS[name]
    if not wanted:
        found = tuple(file for file in dataset.files if file.part == "train")
        if not found:
            named = ", ".join(f"data:{name}/{file.name}" for file in dataset.files)
            raise TextError(f"data:{name} has no part to learn from; a file of it is named as {named}")
        return dataset, found
    for file in dataset.files:
        if file.name == wanted:
            return dataset, (file,)
    raise TextError(f"data:{name} has no file {wanted!r}; {nearest(wanted, [file.name for file in dataset.files])}")


def parts_of(source: str, part: str) -> list[str]:
    """The sources of this part, "valid" or "test", of a data set that is named as a whole; any other source is itself.

    Empty where the set has no such part. Raises TextError for an unknown name.

    >>> parts_of("data:ud-en-ewt", "valid"), parts_of("data:qa-drcd", "valid"), parts_of("own.csv", "test")
    (['data:ud-en-ewt/en_ewt-ud-dev.conllu'], [], ['own.csv'])
    """
    name = source.removeprefix(PREFIX)
    if name == source or "/" in name:
        return [source]
    if name not in DATASETS:
        raise TextError(f"there is no data set {name!r}; {nearest(name, DATASETS)}")
    return [f"{PREFIX}{name}/{file.name}" for file in DATASETS[name].files if file.part == part]


def doubt(source: str) -> str | None:
    """What is doubtful in the licence of a data set that is named; None of any other, and of other sources.

    >>> doubt("data:sentiment-sst2/test.tsv"), doubt("data:ud-en-ewt")
    ('none is stated; passed on freely for research', None)
    """
    dataset = DATASETS.get(source.removeprefix(PREFIX).partition("/")[0]) if source.startswith(PREFIX) else None
    told = dataset.licence.removeprefix(DOUBTFUL) if dataset else ""
    return told.strip() if dataset and told != dataset.licence else None


def resolve(name: str) -> Iterator[tuple[str, Path]]:
    """(label, path on this machine) of each file that `NAME` or `NAME/FILE` means, fetched if need be.

    Raises TextError for an unknown name, for a file that is neither here nor to be had, and for a wrong checksum.
    """
    dataset, found = find(name)
    name = name.partition("/")[0]
    for file in found:
        label = f"{PREFIX}{name}/{file.name}"
        path, checksum = _stored(name, file)
        if not path.is_file():
            if mirror := os.environ.get(MIRROR):
                raise TextError(f"{label}: {MIRROR}={mirror} has no file {name}/{file.file}.xz")
            _fetch(label, dataset, file, path)
        status = path.stat()
        if _checksum(path, status.st_mtime_ns, status.st_size) != checksum:
            raise TextError(f"{path}: damaged: its SHA-256 is not {checksum}; delete it and try again")
        yield label, path


def is_here(source: str) -> bool:
    """Whether every file that `data:NAME` or `data:NAME/FILE` means lies on this machine, so that nothing would be fetched.

    Raises TextError for an unknown name.
    """
    name = source.removeprefix(PREFIX)
    return all(_stored(name.partition("/")[0], file)[0].is_file() for file in find(name)[1])


def _stored(name: str, file: DataFile) -> tuple[Path, str]:
    """Where a file of the data set `name` lies, or would lie, and the checksum of what lies there."""
    mirror = os.environ.get(MIRROR)
    if mirror:
        return Path(mirror) / name / f"{file.file}.xz", file.packed_sha256
    return cache_folder() / name / file.file, file.sha256


def cache_folder() -> Path:
    """Where fetched data sets are kept: `INKSTONE_CACHE`, or ~/.cache/inkstone."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "inkstone")


@cache
def _checksum(path: Path, modified: int, size: int) -> str:
    """A file is read for its checksum once in a process, unless it was changed since."""
    return sha256(path)


def _fetch(label: str, dataset: Dataset, file: DataFile, path: Path) -> None:
    if file.address is None:
        raise TextError(
            f"{label} is a cut of {dataset.source} that is not public as such; set {MIRROR} to a folder that has it, "
            f"or download the source and name the file instead"
        )
    address = f"{GITHUB}/{quote(file.address)}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            content = answer.read()
    except (OSError, HTTPException) as error:
        raise TextError(
            f"{label} cannot be fetched from {address} ({error}); without a network, set {MIRROR} to a folder that has it"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise TextError(f"{label}: {address} has other content now: SHA-256 {found}, not {file.sha256}")
    try:
        with whole_file(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise TextError(
            f"{path}: cannot be written ({error.strerror}); set {CACHE} to a folder for fetched data sets"
        ) from None
