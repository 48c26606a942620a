"""What a cleaning did, as counts and examples that can be printed, stored as JSON and read back."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from inkstone.text.boilerplate import EXAMPLES as LINE_EXAMPLES, RemovedLines
from inkstone.text.reading_report import ReadingReport, encoding_notes
from inkstone.text.repair import INVISIBLE, Repairs

EXAMPLES = 3  # of documents for each reason
EXAMPLE_CHARACTERS = 80


@dataclass
class Dropped:
    """The documents that went for one reason."""

    documents: int = 0
    bytes: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)  # (id, beginning of the text)


@dataclass
class Share:
    """A number of documents and their bytes."""

    documents: int = 0
    bytes: int = 0


@dataclass
class CleanReport:
    """Counts of one cleaning. Bytes are those of the text in UTF-8; they are complete when the batches have ended."""

    documents: int = 0
    bytes: int = 0
    kept_documents: int = 0
    kept_bytes: int = 0
    dropped: dict[str, Dropped] = field(default_factory=dict)  # by reason, without the id of what was repeated
    repairs: Repairs = field(default_factory=Repairs)
    removed_lines: RemovedLines = field(default_factory=RemovedLines)
    languages: dict[str, Share] = field(default_factory=dict)  # of what was kept, most bytes first
    chinese_scripts: Counter[str] = field(default_factory=Counter)  # documents: Hans, Hant
    files: int = 0
    disk_bytes: int = 0
    encodings: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (file, reason)
    malformed: int = 0
    lines_otherwise: int = 0  # in another encoding than their file, read as what they are
    otherwise_at: list[str] = field(default_factory=list)  # "file:line" of the first
    bytes_replaced: int = 0  # that their encoding does not know, now U+FFFD
    replaced_at: list[str] = field(default_factory=list)
    seconds: float = 0.0
    processes: int = 1

    @property
    def duplicates(self) -> int:
        """Exact duplicates dropped."""
        return self.dropped.get("duplicate", Dropped()).documents

    @property
    def near_duplicates(self) -> int:
        """Near-duplicates dropped."""
        return self.dropped.get("near-duplicate", Dropped()).documents

    def add(self, frame: pl.DataFrame) -> None:
        """Count the rows of a finished batch."""
        size = pl.col("text").str.len_bytes()
        self.documents += len(frame)
        kept = frame.filter(pl.col("dropped").is_null())
        self.kept_documents += len(kept)
        for code, documents, number in kept.group_by("language").agg(pl.len(), size.sum()).iter_rows():
            share = self.languages.setdefault(code or "und", Share())
            share.documents += documents
            share.bytes += number
            self.kept_bytes += number
        gone = frame.filter(pl.col("dropped").is_not_null()).with_columns(kind_of_reason().alias("reason"))
        for (reason,), rows in gone.group_by("reason", maintain_order=True):
            entry = self.dropped.setdefault(str(reason), Dropped())
            entry.documents += len(rows)
            entry.bytes += int(rows["text"].str.len_bytes().sum())
            few = rows.head(EXAMPLES - len(entry.examples)) if len(entry.examples) < EXAMPLES else rows.head(0)
            beginning = pl.col("text").str.head(EXAMPLE_CHARACTERS).str.replace_all(r"\s+", " ")
            # What was dropped before its repair may hold anything, and a terminal would obey it.
            entry.examples += (
                few.select(pl.col("id"), beginning).with_columns(pl.all().str.replace_all(INVISIBLE, "\ufffd")).rows()
            )

    def finish(self, reading: ReadingReport, seconds: float) -> None:
        """Take over what the reading counted, and put the largest first."""
        self.files, self.disk_bytes = reading.files, reading.bytes
        self.encodings, self.formats = Counter(reading.encodings), Counter(reading.formats)
        self.skipped = list(reading.skipped)
        self.malformed = reading.malformed
        for name, value in reading.encoding_faults().items():
            setattr(self, name, value)
        self.languages = dict(sorted(self.languages.items(), key=lambda item: (-item[1].bytes, item[0])))
        self.dropped = dict(sorted(self.dropped.items(), key=lambda item: (-item[1].documents, item[0])))
        self.removed_lines.examples = Counter(dict(self.removed_lines.examples.most_common(LINE_EXAMPLES)))
        self.seconds = round(seconds, 3)

    def encoding_notes(self) -> list[str]:
        """In words: lines in another encoding than their file, and bytes that no encoding knows, with the first places."""
        return encoding_notes(self.lines_otherwise, self.otherwise_at, self.bytes_replaced, self.replaced_at)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return asdict(self, dict_factory=dict) | {
            "chinese_scripts": dict(self.chinese_scripts),
            "encodings": dict(self.encodings),
            "formats": dict(self.formats),
            "removed_lines": vars(self.removed_lines) | {"examples": dict(self.removed_lines.examples)},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CleanReport":
        """The report that `to_dict` came from."""
        report = cls(**values)
        report.dropped = {
            reason: Dropped(**{**entry, "examples": [tuple(example) for example in entry["examples"]]})
            for reason, entry in values["dropped"].items()
        }
        report.repairs = Repairs(**values["repairs"])
        lines = values["removed_lines"]
        report.removed_lines = RemovedLines(**{**lines, "examples": Counter(lines["examples"])})
        report.languages = {code: Share(**share) for code, share in values["languages"].items()}
        for name in ("chinese_scripts", "encodings", "formats"):
            setattr(report, name, Counter(values[name]))
        report.skipped = [(source, reason) for source, reason in values["skipped"]]
        return report


def kind_of_reason() -> pl.Expr:
    """The column `dropped` without what differs from row to row: "duplicate of x.txt#3" becomes "duplicate"."""
    return pl.col("dropped").str.replace(r"(?s)^((?:near-)?duplicate) of .*$", "$1")
