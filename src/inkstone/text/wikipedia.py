"""XML: the articles of a MediaWiki dump as plain text, and the character data of any other XML file.

The file is parsed as it streams by, a page at a time, so a dump of any size needs little memory.
"""

from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

import polars as pl

from inkstone.errors import TextError
from inkstone.text.member import Member
from inkstone.text.plain_text import pieces
from inkstone.text.wikitext import is_redirect, plain

SERIES_BYTES = 4 << 20
_WHITE = " \t\n"
ARTICLE = "0"  # the namespace of articles; the others are talk, users, templates, categories, ...


def texts(member: Member) -> Iterator[pl.Series]:
    """Articles of a dump, redirects and pages outside the article namespace left out; else the text of the XML file."""
    if b"<mediawiki" in member.head():
        yield from _articles(member)
    else:
        for piece in pieces(_character_data(member)):
            yield pl.Series([piece], dtype=pl.Binary).cast(pl.String)


class _Pages:
    """Collects the text of finished pages while expat reports elements."""

    FIELDS = ("title", "ns", "text")

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.fields: dict[str, list[str]] = {}
        self.field: list[str] | None = None
        self.redirect = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "page":
            self.fields, self.redirect = {}, False
        elif name == "redirect":
            self.redirect = True
        self.field = self.fields.setdefault(name, []) if name in self.FIELDS else None

    def data(self, text: str) -> None:
        if self.field is not None:
            self.field.append(text)

    def end(self, name: str) -> None:
        self.field = None
        if name == "page":
            title, namespace, text = ("".join(self.fields.get(field, [])) for field in self.FIELDS)
            if namespace == ARTICLE and not self.redirect and not is_redirect(text):
                article = plain(text)
                if article:
                    self.finished.append(f"{title}\n\n{article}\n")


def _articles(member: Member) -> Iterator[pl.Series]:
    pages = _Pages()
    found: list[str] = []
    size = 0
    for _ in _parsed(member, pages.start, pages.data, pages.end):
        found += pages.finished
        size += sum(map(len, pages.finished))
        pages.finished = []
        if size > SERIES_BYTES:
            yield pl.Series(found, dtype=pl.String)
            found, size = [], 0
    yield pl.Series(found, dtype=pl.String)


def _character_data(member: Member) -> Iterator[bytes]:
    """The text between tags, without the white space that only lays the file out; every element ends a line."""
    waiting: list[str] = []
    blank: list[str] = []  # white space at the end of the text so far: layout, if a tag comes next
    inside, ended = False, True  # whether text has come since the last tag; whether no line is open

    def data(text: str) -> None:
        nonlocal inside, ended
        body = text.rstrip(_WHITE)
        if body:
            before = "".join(blank) + text[: len(text) - len(text.lstrip(_WHITE))]
            waiting.append(before if inside or "\n" not in before else "")
            waiting.append(body.lstrip(_WHITE))
            blank.clear()
            inside, ended = True, False
        blank.append(text[len(body) :])

    def tag() -> None:
        nonlocal inside
        after = "".join(blank)
        if inside and "\n" not in after:
            waiting.append(after)
        blank.clear()
        inside = False

    def end(name: str) -> None:
        nonlocal ended
        tag()
        if not ended:
            waiting.append("\n")
        ended = True

    for _ in _parsed(member, lambda name, attributes: tag(), data, end):
        yield "".join(waiting).encode()
        waiting.clear()


def _parsed(
    member: Member, start: Callable[[str, Any], None], data: Callable[[str], None], end: Callable
) -> Iterator[None]:
    """Parse a block at a time, and stop after each for the caller to take what was found."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.buffer_size = 1 << 20
    parser.StartElementHandler = start
    parser.CharacterDataHandler = data
    parser.EndElementHandler = end
    try:
        for block in member.utf8():
            parser.Parse(block, False)
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as error:
        raise TextError(f"malformed XML at line {error.lineno}: {expat.ErrorString(error.code)}") from error
