"""What a reading found: counts that grow while the batches go by."""

from collections import Counter
from dataclasses import dataclass, field

EXAMPLES_A_FILE = 3


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

    def reasons(self, most: int = 5) -> str:
        """The first few skipped sources with their reasons, as one line."""
        shown = "; ".join(f"{source}: {reason}" for source, reason in self.skipped[:most])
        more = len(self.skipped) - most
        return shown + (f"; and {more} more" if more > 0 else "")
