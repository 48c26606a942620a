"""Tables of examples, record by record: csv, tsv, JSON lines and JSON arrays, each record with the place it stands at.

Files may be packed or in archives, and in any encoding that `encoding.py` tells apart. What is malformed is counted and
named by file and line in the report, and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.errors import TextError
from inkstone.text import archives, csv_table, json_records
from inkstone.text.formats import format_of
from inkstone.text.member import Member
from inkstone.text.reading_report import ReadingReport
from inkstone.text.sources import SourceFile, once

TABLES = {
    "csv": csv_table.records,
    "tsv": csv_table.records,
    "text": csv_table.records,  # columns between tabs, or one column
    "json": json_records.records,
}


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table by the names of its columns, and where it stands: "file:line"."""

    place: str
    values: dict[str, Any]


def read_records(sources: Sequence[str | Path], report: ReadingReport | None = None) -> Iterator[Record]:
    """The records of files, folders and `data:NAME`, in a fixed order.

    Columns of a table without a head are called column_1, column_2, ... Raises TextError for a path that does not exist, a
    file that is no table, and where nothing at all could be read.
    """
    report = report if report is not None else ReadingReport()
    found = False
    for member, name in members(sources, report):
        form = form_of(member, name)
        if form not in TABLES:
            raise TextError(f"{member.label}: {form}, but examples are read from csv, tsv and JSON lines")
        report.formats[form] += 1
        try:
            for line, values in TABLES[form](member):
                found = True
                yield Record(f"{member.label}:{line}", values)
        except TextError as error:
            raise TextError(f"{member.label}: {error}") from None
    if not found:
        raise TextError(
            f"no record in {', '.join(map(str, sources))}" + (f": {report.reasons()}" if report.skipped else "")
        )


def form_of(member: Member, name: str) -> str:
    """The format of a file of examples, by its name and its first bytes.

    Raises TextError, with the file named, for an empty file and one that is no text.
    """
    head = member.head()
    if not head.strip():
        raise TextError(f"{member.label}: empty file")
    try:
        return format_of(name, head)
    except TextError as error:
        raise TextError(f"{member.label}: {error}") from None


def members(sources: Sequence[str | Path], report: ReadingReport) -> Iterator[tuple[Member, str]]:
    """Every file behind the sources, unpacked, with its inner name; each is closed before the next one opens."""
    for file in once([sources] if isinstance(sources, (str, Path)) else sources, report.skip):
        if not isinstance(file, SourceFile):
            raise TextError(f"{file}: examples are read from files; name a file or a folder")
        try:
            with open(file.path, "rb", buffering=0) as stream:
                size = file.path.stat().st_size
                outer = archives.watched(stream, lambda number: None)
                for label, name, content in archives.unpacked(
                    file.label, file.path.name, outer, lambda size=size: size, report.skip
                ):
                    member = Member(label, content, report, key=file.key)
                    try:
                        yield member, name
                    finally:
                        member.close()
        except archives.DAMAGE as error:
            raise TextError(f"{file.label}: {archives.damage_reason(error)}") from error
