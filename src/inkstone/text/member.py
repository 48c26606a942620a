"""One file on its way to documents: on the disk, inside an archive, or standard input."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from inkstone.text.encoding import Decoding, utf8_blocks
from inkstone.text.reading_report import EXAMPLES_A_FILE, ReadingReport

BLOCK = 1 << 18
RECORD_LIMIT = 64 << 20  # no single record (JSON line, HTML page, archived response) may be larger than this


@dataclass
class Member:
    """A named stream of bytes, and the notes that its reader takes."""

    label: str  # "books.zip!a/b.txt": names the file in documents and in the report
    stream: BufferedReader
    report: ReadingReport
    text_column: str | None = None
    key: str | None = None  # of the list that is meant, in a JSON object of several
    path: Path | None = None  # when the bytes lie on the disk as they are, for formats that need random access
    on_bytes: Callable[[int], None] = lambda number: None  # to be told of bytes that are not read from `stream`
    decoding: Decoding = field(default_factory=Decoding)
    faults: int = 0

    def head(self, size: int = 4096) -> bytes:
        """The first bytes, without taking them from the stream."""
        return self.stream.peek(size)[:size]

    def blocks(self) -> Iterator[bytes]:
        """The bytes as they are, a block at a time."""
        while block := self.stream.read(BLOCK):
            yield block

    def utf8(self, declared: str | None = None) -> Iterator[bytes]:
        """The text as blocks of valid UTF-8 that end between characters."""
        return utf8_blocks(self.blocks(), self.decoding, declared)

    def fault(self, line: int, reason: str) -> None:
        """Count a record that is left out; the first few are told with their line."""
        self.faults += 1
        self.report.malformed += 1
        if self.faults <= EXAMPLES_A_FILE:
            self.report.skip(f"{self.label}:{line}", reason)

    def close(self) -> None:
        """Put this file's notes into the report."""
        if self.faults > EXAMPLES_A_FILE:
            self.report.skip(self.label, f"{self.faults - EXAMPLES_A_FILE} more malformed records")
        if self.decoding.name:
            self.report.encodings[self.decoding.name] += 1
        self.report.bytes_replaced += self.decoding.replaced
        self.report.replaced_at += [f"{self.label}:{line}" for line in self.decoding.replaced_at]
        self.report.lines_otherwise += self.decoding.others
        self.report.otherwise_at += [f"{self.label}:{line}" for line in self.decoding.others_at]
