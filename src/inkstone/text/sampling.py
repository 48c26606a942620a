"""A sample of sources that are larger than what can be used: evenly spread, and the same for the same sizes.

Each file and each document draws a number from the seed and its place; those with the smallest numbers are read. Where
a sample of whole files is still spread well, all other files stay closed; else documents are drawn inside each file,
which must then be read through.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from inkstone.text.sources import PYTHON, SourceFile, once

LEAST_FILES = 32  # of which a sample of files consists at least; where fewer would do, documents are drawn as well
EXPANSION = {  # bytes of text for each byte on the disk, roughly
    ".gz": 3.0, ".bz2": 4.0, ".xz": 4.0, ".zst": 3.5, ".zip": 3.0, ".tgz": 3.0, ".parquet": 2.0,
}  # fmt: skip


@dataclass
class Sample:
    """Which part of the sources is read; what reading found of time and documents is noted here too."""

    asked_bytes: int | None = None  # of text that is wanted; None: all there is
    total_bytes: int | None = None  # of text in all sources, as their sizes let expect; None: not known
    files: frozenset[str] | None = None  # labels of those that are opened; None: all
    share: float = 1.0  # of the documents in them
    most_bytes: int | None = None  # of text, after which reading ends; None: no end before that of the sources
    seconds: float | None = None  # after which reading ends; None: whatever it takes
    most_documents: int | None = None  # after which reading ends: where an earlier reading ended
    seed: int = 0
    documents: int = 0  # drawn so far
    bytes: int = 0  # of their text
    ended_by: str = ""  # "time", "size", "count": what ended the reading before the sources did

    def opens(self, file: SourceFile) -> bool:
        """Whether documents of this file are read."""
        return self.files is None or file.label in self.files

    def of(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The drawn rows of the frames of a reading, until one of the limits is reached."""
        begin, place = time.monotonic(), 0
        for frame in frames:
            if self.share < 1:
                draws = draws_of(np.arange(place, place + len(frame)), self.seed)
                place += len(frame)
                frame = frame.filter(pl.Series(draws < self.share))
            if self.most_documents is not None and self.documents + len(frame) >= self.most_documents:
                frame, self.ended_by = frame.head(self.most_documents - self.documents), "count"
            self.documents += len(frame)
            self.bytes += int(frame["text"].str.len_bytes().sum())
            if len(frame):
                yield frame
            if not self.ended_by and self.most_bytes is not None and self.bytes >= self.most_bytes:
                self.ended_by = "size"
            if not self.ended_by and self.seconds is not None and time.monotonic() - begin >= self.seconds:
                self.ended_by = "time"
            if self.ended_by:
                return


def draw_sample(sources: Sequence[str | Path], most_bytes: int | None, seed: int = 0) -> Sample:
    """The sample of about `most_bytes` bytes of text from the sources; all of them where they are no larger.

    What comes through standard input has no size: of it, the first `most_bytes` are read. Raises TextError for a source
    that does not exist.
    """
    sizes: dict[str, int] = {}
    for file in once(sources, lambda source, reason: None):
        if isinstance(file, SourceFile):
            sizes[file.label] = text_bytes(file.path)
        elif file != PYTHON:
            return Sample(most_bytes, most_bytes=most_bytes, seed=seed)
    total = sum(sizes.values())
    if most_bytes is None or total <= most_bytes:
        return Sample(most_bytes, total, seed=seed)
    wanted = max(most_bytes / total, min(1.0, LEAST_FILES / len(sizes))) * total
    files, held = [], 0
    for label in sorted(sizes, key=lambda label: hashlib.blake2b(f"{seed} {label}".encode()).digest()):
        if held >= wanted:
            break
        files.append(label)
        held += sizes[label]
    # The sizes are a guess where files are packed; twice the limit ends what was guessed far too low.
    return Sample(
        most_bytes, total, frozenset(files), min(1.0, most_bytes / held), most_bytes=2 * most_bytes, seed=seed
    )


def text_bytes(path: Path) -> int:
    """About how many bytes of text a file holds, by its size and its name."""
    try:
        size = path.stat().st_size
    except OSError:  # the reading will say why
        return 0
    return round(size * EXPANSION.get(path.suffix.lower(), 1.0))


def draws_of(places: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each place, as if drawn at random (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        bits = (places.astype(np.uint64) + np.uint64(seed % (1 << 32) << 20)) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (bits ^ (bits >> np.uint64(31))) / 2.0**64
