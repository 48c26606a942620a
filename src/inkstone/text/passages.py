"""Texts cut into passages that are worth finding: paragraphs, short ones together, long ones apart between sentences.

A passage is a stretch of its text, character by character, so that what is found in it can be pointed at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import regex

from inkstone.text.formats import EXTENSIONS

SIZE = 600  # of a passage: characters, where one of a dense script counts as DENSE
DENSE = 3
# The strongest places to cut first: blank lines, line ends, after sentences, between clauses, at blanks.
CUTS = tuple(
    regex.compile(pattern)
    for pattern in (
        r"\n\s*\n",
        r"\n",
        r"(?<=[。！？；][”’」』）]?)(?![”’」』）])|(?<=[.!?][\"')\]”’]?)\s+",
        r"(?<=[，、：,;:])\s*",
        r"\s+",
    )
)
PACKINGS = (".gz", ".xz", ".bz2", ".zst")


@dataclass(frozen=True)
class Passage:
    """A stretch of a file."""

    file: str
    record: int | None  # its number, from 1, in a file of records; None in a file of text
    line: int  # on which it begins: of the file, or of its record
    text: str

    @property
    def last_line(self) -> int:
        """The line on which it ends."""
        return self.line + self.text.count("\n")

    @property
    def place(self) -> str:
        """ "file:line", or "file#record:line" in a file of records."""
        return self.place_of(0)

    def place_of(self, character: int) -> str:
        """The place of one of its characters."""
        record = "" if self.record is None else f"#{self.record}"
        return f"{self.file}{record}:{self.line + self.text.count(chr(10), 0, character)}"


def passages_of(frame: pl.DataFrame, lines: dict[str, int], size: int = SIZE) -> Iterator[Passage]:
    """The passages of documents as `reading.read` gives them, in order.

    `lines` remembers how many lines of each file went by: a huge file of text comes in several documents.
    """
    for name, file, text in frame.select("id", "source", "text").iter_rows():
        record = None if is_text(file) else int(name.rpartition("#")[2]) + 1
        before = lines.get(file, 0) if record is None else 0
        seen, line = 0, before + 1
        for start, stop in stretches(text, size):
            line += text.count("\n", seen, start)
            seen = start
            yield Passage(file, record, line, text[start:stop])
        lines[file] = before + text.count("\n")


def is_text(file: str) -> bool:
    """Whether a file is read as text, line by line, and not as records of a table, an archive of pages, and the like."""
    name = file.rpartition("!")[2].lower()
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    return EXTENSIONS.get(name.rpartition("/")[2].rpartition(".")[2], "text") == "text"


def stretches(text: str, size: int = SIZE) -> list[tuple[int, int]]:
    """From which character to which each passage of a text reaches; blanks around them are in none.

    >>> text = "One two.\\n\\nThree four. Five six."
    >>> [text[start:stop] for start, stop in stretches(text, 12)]
    ['One two.', 'Three four.', 'Five six.']
    """
    found: list[tuple[int, int]] = []
    for start, stop in _pieces(text, 0, len(text), size, 0):
        # Short paragraphs go together while they fit, but never more than a passage.
        if found and _weight(text[found[-1][0] : stop]) <= size:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def _pieces(text: str, start: int, stop: int, size: int, cut: int) -> Iterator[tuple[int, int]]:
    """Pieces of a stretch that are no larger than a passage, cut at the weakest place only where no stronger one helps."""
    piece = text[start:stop]
    start, stop = start + len(piece) - len(piece.lstrip()), stop - len(piece) + len(piece.rstrip())
    if start >= stop:
        return
    if _weight(text[start:stop]) <= size:
        yield start, stop
        return
    if cut == len(CUTS):  # one word of this length: cut it anywhere
        step = max(1, size // DENSE)
        for begin in range(start, stop, step):
            yield begin, min(begin + step, stop)
        return
    begin = start
    for match in CUTS[cut].finditer(text, start, stop):
        if match.start() > begin:
            yield from _pieces(text, begin, match.start(), size, cut + 1)
            begin = match.end()
    yield from _pieces(text, begin, stop, size, cut + 1)


def _weight(text: str) -> int:
    return len(text) + (DENSE - 1) * sum(
        "\u3040" <= character <= "\u9fff" or "가" <= character <= "힣" for character in text
    )
