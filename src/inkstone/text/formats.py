"""Which reader reads which file: by its extension, else by its first bytes."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import polars as pl

from inkstone.errors import TextError
from inkstone.text import plain_text
from inkstone.text.encoding import BYTE_ORDER_MARKS, detect
from inkstone.text.member import Member

Reader = Callable[[Member], Iterator[pl.Series]]

READERS: dict[str, Reader] = {  # each yields blocks of texts, one a document
    "text": plain_text.texts,
}

EXTENSIONS: dict[str, str] = {
    "txt": "text",
    "text": "text",
    "md": "text",
    "markdown": "text",
    "rst": "text",
    "tex": "text",
}

SIGNS: tuple[tuple[re.Pattern[bytes], str], ...] = ()

CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))  # no text has many of these


def format_of(name: str, head: bytes) -> str:
    """The format of a file with this name and these first bytes; raises TextError for one that holds no text."""
    for sign, form in SIGNS:
        if sign.match(head):
            return form
    extension = PurePosixPath(name).suffix.lower().removeprefix(".")
    form = EXTENSIONS.get(extension, "text")
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
    return "a binary file, not text" if b"\0" in head or strange > 0.02 * len(head) else None


def texts(member: Member, name: str) -> Iterator[pl.Series]:
    """The documents of one file, as blocks of strings without nulls; raises TextError when it holds no text."""
    head = member.head()
    if not head:
        raise TextError("empty file")
    form = format_of(name, head)
    member.report.formats[form] += 1
    yield from READERS[form](member)
