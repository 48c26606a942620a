"""What a reading found: counts that grow while the batches go by."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

EXAMPLES_A_FILE = 3
PLACES_TOLD = 5
PLACES_RECORDED = 20


@dataclass
class ReadingReport:
    """Counts of one reading. `files` counts what gave at least one document, members of archives included."""

    files: int = 0
    bytes: int = 0  # as they lie on the disk
    documents: int = 0
    encodings: Counter[str] = field(default_factory=Counter)  # name of the encoding: number of files
    formats: Counter[str] = field(default_factory=Counter)  # name of the format: number of files
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (file or file:line, reason)
    malformed: int = 0  # records of otherwise good files that were left out
    bytes_replaced: int = 0  # bytes that their encoding does not know, now U+FFFD
    replaced_at: list[str] = field(
        default_factory=list
    )  # "file:line" of the first lines of each file that hold such bytes
    lines_otherwise: int = 0  # lines in another encoding than their file, read as what they are
    otherwise_at: list[str] = field(default_factory=list)  # "file:line" of the first of each file

    def skip(self, source: str, reason: str) -> None:
        """Note that `source` was left out, and why."""
        self.skipped.append((source, reason))

    def encoding_faults(self) -> dict[str, Any]:
        """As facts of a run: lines in another encoding than their file, bytes that no encoding knows, and first places of both.

        One place of each file comes before a second one of any.
        """
        return {
            "lines_otherwise": self.lines_otherwise,
            "otherwise_at": _one_a_file_first(self.otherwise_at)[:PLACES_RECORDED],
            "bytes_replaced": self.bytes_replaced,
            "replaced_at": _one_a_file_first(self.replaced_at)[:PLACES_RECORDED],
        }

    def reasons(self, most: int = 5) -> str:
        """The first few skipped sources with their reasons, as one line."""
        shown = "; ".join(f"{source}: {reason}" for source, reason in self.skipped[:most])
        more = len(self.skipped) - most
        return shown + (f"; and {more} more" if more > 0 else "")


def encoding_notes(
    lines_otherwise: int, otherwise_at: Sequence[str], bytes_replaced: int, replaced_at: Sequence[str]
) -> list[str]:
    """What `ReadingReport.encoding_faults` holds, in words; nothing where there is no fault.

    >>> encoding_notes(1, ["a.txt:3"], 0, [])
    ['1 line in another encoding than its file, read as what it is (a.txt:3)']
    """
    told = []
    if lines_otherwise:
        lines = f"{lines_otherwise:,} lines in another encoding than their file, each read as what it is"
        lines = "1 line in another encoding than its file, read as what it is" if lines_otherwise == 1 else lines
        told.append(f"{lines} ({first_of(otherwise_at, lines_otherwise)})")
    if bytes_replaced:
        places = replaced_at[:PLACES_TOLD]
        lines = f" (first in {', '.join(places)})" if places else ""
        told.append(f"{bytes_replaced:,} byte{'s' * (bytes_replaced != 1)} unknown to the encoding, now U+FFFD{lines}")
    return told


def first_of(places: Sequence[str], count: int) -> str:
    """The first places of so many, and how many there are beside them.

    >>> first_of(["a.txt:3", "b.txt:1"], 9)
    'a.txt:3, b.txt:1 and 7 more'
    """
    shown = places[:PLACES_TOLD]
    return ", ".join(shown) + (f" and {count - len(shown):,} more" if count > len(shown) else "")


def _one_a_file_first(places: Sequence[str]) -> list[str]:
    """Places, "file:line", so that every file has one before any has a second; otherwise in their order."""
    seen: Counter[str] = Counter()
    ranks = []
    for place in places:
        file = place.rpartition(":")[0]
        ranks.append(seen[file])
        seen[file] += 1
    return [place for _, place in sorted(zip(ranks, places, strict=True), key=lambda ranked: ranked[0])]
