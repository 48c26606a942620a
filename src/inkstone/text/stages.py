"""The steps of cleaning that look at one batch at a time, in the two stages that a worker process runs.

Between them stands what must see the batches in order: the counting of exact duplicates and of recurring lines.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from inkstone.errors import TextError
from inkstone.text import boilerplate, filters, language
from inkstone.text.boilerplate import RemovedLines
from inkstone.text.characters import count_kinds
from inkstone.text.duplicates import band_keys, content_digests, signature_marks
from inkstone.text.filters import Limits
from inkstone.text.repair import Repairs, UnicodeForm, repair
from inkstone.text.shingles import signatures


@dataclass(frozen=True)
class CleanSettings:
    """What cleaning does. The defaults suit a person's own text as well as pages from the web."""

    unicode_form: UnicodeForm = "NFC"
    languages: tuple[str, ...] = ()  # ISO 639-1 codes to keep; none: all
    limits: Limits = field(default_factory=Limits)
    quality: bool = True  # the quality filters
    boilerplate: bool = True  # take recurring lines out
    near_duplicates: bool = True
    threshold: float = 0.8  # Jaccard similarity from which two documents are near-duplicates

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise TextError(f"the threshold of near-duplicates must lie above 0 and be at most 1, not {self.threshold}")
        if self.unicode_form not in ("NFC", "NFKC", "none"):
            raise TextError(f"the Unicode form must be NFC, NFKC or none, not {self.unicode_form!r}")
        for code in self.languages:
            if not (2 <= len(code) <= 3 and code.isascii() and code.islower()):
                raise TextError(f"a language is named by its ISO 639 code, such as en or zh, not {code!r}")
        if self.limits.min_characters < 0:
            raise TextError(f"the least number of characters must not be negative, not {self.limits.min_characters}")


@dataclass
class Prepared:
    """A batch after repair, with what the stage between needs."""

    frame: pl.DataFrame
    bytes: int  # of text as it was read
    repairs: Repairs
    digests: np.ndarray  # uint64 (rows, 2)
    line_rows: np.ndarray
    line_hashes: np.ndarray


@dataclass
class Judged:
    """A batch after all filters, with what the search for near-duplicates needs."""

    frame: pl.DataFrame
    bytes: int
    repairs: Repairs
    removed: RemovedLines
    scripts: Counter[str]  # of Chinese documents: Hans, Hant
    comparable: np.ndarray  # rows that have a signature
    marks: np.ndarray  # uint8 (rows with a signature, permutations / 2)
    bands: np.ndarray  # uint32 (bands, rows with a signature)


def prepare(frame: pl.DataFrame, settings: CleanSettings) -> Prepared:
    """Drop binary data, repair the text, and take the marks by which documents and lines are known again."""
    size = int(frame["text"].str.len_bytes().sum())
    if settings.quality:
        frame = filters.binary(frame, settings.limits)
    frame, repairs = repair(frame, settings.unicode_form)
    rows, hashes = (np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint64))
    if settings.boilerplate:
        rows, hashes = boilerplate.line_hashes(frame)
    return Prepared(frame, size, repairs, content_digests(frame["text"]), rows, hashes)


def judge(prepared: Prepared, recurring: np.ndarray, settings: CleanSettings) -> Judged:
    """Take boilerplate out, apply the quality filters, tell the language, and sign what is left."""
    whole = prepared.frame.with_row_index("row")
    frame = whole.filter(pl.col("dropped").is_null())
    removed = RemovedLines()
    if settings.boilerplate:
        frame, removed = boilerplate.remove(frame, recurring)
    kinds = count_kinds(frame["text"])
    if settings.quality:
        frame = filters.quality(frame, kinds, settings.limits)
    frame = language.identify(frame, kinds)
    if settings.languages:
        frame = language.keep_languages(frame, settings.languages)
    scripts = Counter(language.chinese_script(frame).drop_nulls().to_list())
    kept = frame.filter(pl.col("dropped").is_null())
    frame = pl.concat((frame, whole.filter(pl.col("dropped").is_not_null()))).sort("row").drop("row")
    comparable, marks, bands = _sign(kept) if settings.near_duplicates else _NOTHING
    return Judged(frame, prepared.bytes, prepared.repairs, removed, scripts, comparable, marks, bands)


_NOTHING = (np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.uint8), np.zeros((0, 0), dtype=np.uint32))


def _sign(kept: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, enough = signatures(kept["text"])
    rows = kept["row"].to_numpy()[enough].astype(np.int64)
    values = values[enough]
    return rows, signature_marks(values), band_keys(values).astype(np.uint32)
