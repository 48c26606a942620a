"""Which reader reads which file: by its extension, else by its first bytes."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import polars as pl

from inkstone.errors import TextError
from inkstone.text import csv_table, html, json_records, parquet_table, plain_text, warc, wikipedia
from inkstone.text.encoding import BYTE_ORDER_MARKS, detect
from inkstone.text.member import Member

Reader = Callable[[Member], Iterator[pl.Series]]

READERS: dict[str, Reader] = {  # each yields blocks of texts, one a document
    "text": plain_text.texts,
    "json": json_records.texts,
    "csv": csv_table.comma_separated,
    "tsv": csv_table.tab_separated,
    "parquet": parquet_table.texts,
    "html": html.texts,
    "xml": wikipedia.texts,
    "warc": warc.texts,
}

EXTENSIONS: dict[str, str] = {  # all others are text, if their bytes are
    "jsonl": "json",
    "ndjson": "json",
    "json": "json",
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "parquet": "parquet",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "xml": "xml",
    "warc": "warc",
    "wet": "warc",
}

SIGNS: tuple[tuple[re.Pattern[bytes], str], ...] = (  # these hold whatever the name says
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"WARC/[01]\.\d+\r?\n"), "warc"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?<mediawiki\b"), "xml"),
)
NAMELESS_SIGNS: tuple[
    tuple[re.Pattern[bytes], str], ...
] = (  # these hold for a file without an extension, or from a pipe
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head)\b", re.IGNORECASE), "html"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml\b"), "xml"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*)?\{\s*\""), "json"),
)

CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))  # no text has many of these


def format_of(name: str, head: bytes) -> str:
    """The format of a file with this name and these first bytes; raises TextError for one that holds no text."""
    for sign, form in SIGNS:
        if sign.match(head):
            return form
    extension = PurePosixPath(name).suffix.lower().removeprefix(".")
    form = EXTENSIONS.get(extension, "text")
    if not extension:
        form = next((form for sign, form in NAMELESS_SIGNS if sign.match(head)), form)
    reason = binary(head)
    if reason:
        raise TextError(reason)
    return form


def binary(head: bytes) -> str | None:
    """Why these bytes are no text, or None when they are.

    >>> binary(b"\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0"), binary("砚".encode("utf-16")), binary(bytes(9))
    ('a binary file, not text', None, 'holds only zero bytes')
    """
    if any(head.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        return None
    if head and not head.strip(b"\0"):
        return "holds only zero bytes"
    if b"\0" in head and detect(head[: len(head) // 4 * 4]) in ("utf-16-le", "utf-16-be"):
        return None
    strange = len(head) - len(head.translate(None, CONTROL))
    return "a binary file, not text" if b"\0" in head or strange > max(8, 0.05 * len(head)) else None


def texts(member: Member, name: str) -> Iterator[pl.Series]:
    """The documents of one file, as blocks of strings without nulls; raises TextError when it holds no text."""
    head = member.head()
    if not head:
        raise TextError("empty file")
    form = format_of(name, head)
    member.report.formats[form] += 1
    yield from READERS[form](member)
