"""Comma- and tab-separated tables, record by record, with the lines of their faults."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from inkstone.errors import TextError
from inkstone.text.line_blocks import line_blocks
from inkstone.text.member import RECORD_LIMIT, Member
from inkstone.text.text_column import NAMES, SAMPLE_RECORDS, choose

DELIMITERS = ",;\t|"
SERIES_BYTES = 4 << 20
RECORDINGS = (".wav", ".flac", ".mp3", ".ogg")  # a file of sound is no name of a column
LONGEST_NAME = 64  # characters; a first row with a longer cell is data, not names

Row = list[str]


def comma_separated(member: Member) -> Iterator[pl.Series]:
    """The text column of a .csv file; the delimiter is the one of `DELIMITERS` that its first line has most of."""
    lines = _lines(member)
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    yield from _column(member, chain([first], lines), delimiter, quoted=True)


def tab_separated(member: Member) -> Iterator[pl.Series]:
    """The text column of a .tsv file, where quotation marks quote only if they do so in the first rows (`_quotes_tabs`)."""
    lines = _lines(member)
    head = list(islice(lines, SAMPLE_RECORDS))
    yield from _column(member, chain(head, lines), "\t", _quotes_tabs(head))


def records(member: Member) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of its last line, cells by column) of each row of a table: a .csv, else columns between tabs.

    A row of too few or too many cells is a fault of the member and left out.
    """
    lines = _lines(member)
    head = list(islice(lines, SAMPLE_RECORDS))
    tabs = not any(name.lower() == ".csv" for name in PurePosixPath(member.label).suffixes)
    delimiter = "\t" if tabs else max(DELIMITERS, key=(head or [""])[0].count)
    names, rows = _table(member, chain(head, lines), delimiter, quoted=not tabs or _quotes_tabs(head))
    for line, row in rows:
        if len(row) < len(names) or any(row[len(names) :]):
            member.fault(line, f"{len(row)} fields in a table of {len(names)} columns")
        else:
            yield line, dict(zip(names, row, strict=False))


def _table(
    member: Member, lines: Iterable[str], delimiter: str, quoted: bool
) -> tuple[list[str], Iterator[tuple[int, Row]]]:
    """The names of the columns, made up where the first row holds none, and the rows below them."""
    csv.field_size_limit(RECORD_LIMIT)
    reader = csv.reader(
        lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=quoted
    )
    rows = _rows(member, reader)
    first = next(rows, None)
    if first is None:
        raise TextError("a table without rows")
    below = list(islice(rows, SAMPLE_RECORDS))
    rows = chain(below, rows)
    if _names_columns(first[1], [row for _, row in below]):
        return first[1], rows
    return [f"column_{number}" for number in range(1, len(first[1]) + 1)], chain([first], rows)


def _quotes_tabs(head: list[str]) -> bool:
    """Whether quotation marks stand around cells: some do, and all rows are then equally long.

    Where none does, a cell that begins with one later on is prose, and would take all up to the next one for its own.
    """
    if not any(cell.startswith('"') for line in head for cell in line.split("\t")):
        return False
    reader = csv.reader(head, delimiter="\t", strict=True)
    lengths: set[int] = set()
    last = 0
    try:
        for row in reader:
            lengths.add(len(row))
            last = reader.line_num
    except csv.Error:
        if last < SAMPLE_RECORDS - 10:  # a row that only the end of the sample cuts is no contradiction
            return False
    return len(lengths) == 1


def _lines(member: Member) -> Iterator[str]:
    blocks = line_blocks(
        member.utf8(), RECORD_LIMIT, lambda line: member.fault(line, f"longer than {RECORD_LIMIT >> 20} MiB")
    )
    for _, block in blocks:
        yield from io.StringIO(block.decode(), newline="")


def _column(member: Member, lines: Iterable[str], delimiter: str, quoted: bool) -> Iterator[pl.Series]:
    names, rows = _table(member, lines, delimiter, quoted)
    body = list(islice(rows, SAMPLE_RECORDS))
    samples = {name: [row[at] for _, row in body if len(row) > at] for at, name in enumerate(names)}
    at = names.index(choose(samples, member.text_column))
    found: list[str] = []
    size = 0
    for line, row in chain(body, rows):
        if len(row) < len(names) or any(row[len(names) :]):
            member.fault(line, f"{len(row)} fields in a table of {len(names)} columns")
        elif row[at]:
            found.append(row[at])
            size += len(row[at])
        if size > SERIES_BYTES:
            yield pl.Series(found, dtype=pl.String)
            found, size = [], 0
    yield pl.Series(found, dtype=pl.String)


def _rows(member: Member, reader: Iterator[Row]) -> Iterator[tuple[int, Row]]:
    """(number of its last line, row) of each row that is well formed and not empty; each line of another is a fault."""
    last = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = []
            for line in range(last + 1, reader.line_num + 1):  # pyright: ignore[reportAttributeAccessIssue]
                member.fault(line, f"malformed row: {error}")
        last: int = reader.line_num  # pyright: ignore[reportAttributeAccessIssue]
        if row:
            yield last, row


def _names_columns(row: Row, below: list[Row]) -> bool:
    """Whether the first row holds the names of the columns: short, different, no numbers, and not in their columns again."""
    cells = [cell.strip() for cell in row]
    if any(cell.lower() in NAMES for cell in cells):
        return True
    filled = [cell for cell in cells if cell]
    return (
        bool(filled)
        and len(set(filled)) == len(filled)
        and all(len(cell) <= LONGEST_NAME for cell in filled)
        and not any(cell.replace(".", "", 1).isdecimal() or cell.lower().endswith(RECORDINGS) for cell in filled)
        and not any(
            name.strip() and name == cell
            for other in below
            if other != row  # the names once more, as where two tables were put together
            for name, cell in zip(row, other, strict=False)
        )
    )
