"""Text in, batches of documents out: from files, folders, archives, standard input and named data sets.

Everything streams: memory depends on the size of a batch and of the largest single document, not on the corpus. The
order of documents and their ids depend only on the sources.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from inkstone.errors import TextError
from inkstone.text import archives, formats, python_text
from inkstone.text.document import SCHEMA
from inkstone.text.member import Member
from inkstone.text.reading_report import ReadingReport
from inkstone.text.sources import PYTHON, STANDARD_INPUT, SourceFile, once, total_bytes

__all__ = ["ReadingReport", "read", "total_bytes"]

Texts = Iterator[tuple[str, pl.Series]]


def read(
    sources: Sequence[str | Path],
    *,
    text_column: str | None = None,
    batch_bytes: int = 16 << 20,
    report: ReadingReport | None = None,
    on_bytes: Callable[[int], None] | None = None,
    opens: Callable[[SourceFile], bool] = lambda file: True,
) -> Iterator[pl.DataFrame]:
    """Batches of documents (`document.SCHEMA`) of about `batch_bytes` bytes of text.

    `sources` are files, folders (all files below them, sorted; hidden ones left out), archives, `-` (standard input),
    `data:NAME` or `data:NAME/FILE` (named data sets) and `python:` (the text that ships with Python). `text_column`
    names the column or key of csv, jsonl and parquet that holds the text; without it the usual names are looked for.
    `report` grows while the batches are taken; `on_bytes` is told of the bytes read from the disk;
    files for which `opens` is false are passed over.

    A file inside a folder that cannot be read is skipped with a reason in `report`; documents read before the damage
    are kept. Raises TextError when a file that was named itself cannot be read, when a path does not exist, and when
    nothing at all was readable.
    """
    if isinstance(sources, (str, Path)):
        sources = [sources]
    report = report if report is not None else ReadingReport()

    def count(number: int) -> None:
        report.bytes += number
        if on_bytes:
            on_bytes(number)

    parts: list[tuple[str, int, pl.Series]] = []
    size = number = 0
    last = None
    for label, texts in _texts(sources, text_column, report, count, opens):
        number = number if label == last else 0
        parts.append((label, number, texts))
        number += len(texts)
        last = label
        report.documents += len(texts)
        size += texts.estimated_size()
        if size >= batch_bytes:
            yield _batch(parts)
            parts, size = [], 0
    if parts:
        yield _batch(parts)
    if not report.documents:
        names = ", ".join(map(str, sources))
        raise TextError(f"no readable text in {names}" + (f": {report.reasons()}" if report.skipped else ""))


def _texts(
    sources: Sequence[str | Path],
    text_column: str | None,
    report: ReadingReport,
    count: Callable[[int], None],
    opens: Callable[[SourceFile], bool],
) -> Texts:
    for file in once(sources, report.skip):
        if file == PYTHON:
            for label, text in python_text.documents():
                count(len(text.encode()))
                yield label, pl.Series([text])
        elif isinstance(file, SourceFile):
            if not opens(file):
                continue
            yield from _file(file, text_column, report, count)
        else:
            stream = getattr(sys.stdin, "buffer", sys.stdin)
            yield from _stream(STANDARD_INPUT, "", stream, lambda: report.bytes, text_column, report, count, None)


def _file(file: SourceFile, text_column: str | None, report: ReadingReport, count: Callable[[int], None]) -> Texts:
    try:
        with open(file.path, "rb", buffering=0) as stream:
            size = file.path.stat().st_size
            yield from _stream(file.label, file.path.name, stream, lambda: size, text_column, report, count, file.key)
    except (TextError, *archives.DAMAGE) as error:
        reason = archives.damage_reason(error)
        if file.named:
            raise TextError(f"{file.label}: {reason}") from error
        report.skip(file.label, reason)


def _stream(
    label: str,
    name: str,
    stream: Any,
    packed: Callable[[], int],
    text_column: str | None,
    report: ReadingReport,
    count: Callable[[int], None],
    key: str | None,
) -> Texts:
    """The texts in one file on the disk, which may be an archive."""
    outer = archives.watched(stream, count)
    for inside, inner_name, content in archives.unpacked(label, name, outer, packed, report.skip):
        path = Path(stream.name) if content is outer and isinstance(getattr(stream, "name", None), str) else None
        member = Member(inside, content, report, text_column, key, path, count)
        found = False
        try:
            for texts in formats.texts(member, inner_name):
                if len(texts):
                    report.files += not found
                    found = True
                    yield inside, texts
        except (TextError, *archives.DAMAGE) as error:
            if inside == label or isinstance(error, archives.Bomb):
                raise
            report.skip(inside, archives.damage_reason(error))
        finally:
            member.close()


def _batch(parts: list[tuple[str, int, pl.Series]]) -> pl.DataFrame:
    """One frame from blocks of texts, each with its source and the number of its first document there."""
    blocks = pl.DataFrame(
        {
            "source": [label for label, _, _ in parts],
            "first": [first for _, first, _ in parts],
            "length": [len(texts) for _, _, texts in parts],
        }
    )
    rows = blocks.select(
        pl.col("source").repeat_by("length"),
        pl.int_ranges("first", pl.col("first") + pl.col("length")).alias("number"),
    ).explode("source", "number")
    return rows.select(
        pl.format("{}#{}", "source", "number").alias("id"),
        "source",
        pl.concat([texts for _, _, texts in parts], rechunk=True).alias("text"),
        pl.lit(None, pl.String).alias("language"),
        pl.lit(None, pl.String).alias("dropped"),
    ).match_to_schema(SCHEMA)
