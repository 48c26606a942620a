"""TMX, the exchange format of translation memories: units of one text in several languages (TMX 1.4b, OSCAR 2005).

The file is parsed as it streams by, a block at a time. Nothing is fetched, and a file that declares entities of its own is
refused: a few of them, each made of others, would fill the memory.
"""

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from inkstone.errors import TextError
from inkstone.text.language_codes import language_code
from inkstone.text.member import RECORD_LIMIT, Member

FORMATTING = ("bpt", "ept", "it", "ut", "sub")  # elements inside of a segment that hold no words of its own


def units(member: Member) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its first line, text by language) of each unit, codes of formatting left out, those of placeholders kept.

    A unit with fewer than two languages is a fault of the member and left out; of several texts in a language the first
    counts. Raises TextError where the XML is malformed or declares entities, and for a unit that is beyond measure.
    """
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    found = _Units(member, parser)
    parser.StartElementHandler = found.start
    parser.CharacterDataHandler = found.data
    parser.EndElementHandler = found.end
    parser.EntityDeclHandler = _refuse_entity
    try:
        for block in member.utf8("utf-8"):
            parser.Parse(block, False)
            yield from found.taken()
        parser.Parse(b"", True)
        yield from found.taken()
    except expat.ExpatError as error:
        yield from found.taken()
        raise TextError(f"malformed XML at line {error.lineno}: {expat.ErrorString(error.code)}") from None


def _refuse_entity(name: str, *_: Any) -> None:
    raise TextError(f"declares the entity {name!r}; such files are not read: take the declaration out")


class _Units:
    """Collects the texts of finished units while expat reports elements."""

    def __init__(self, member: Member, parser: Any) -> None:
        self.member, self.parser = member, parser
        self.finished: list[tuple[int, dict[str, str]]] = []
        self.line = self.size = 0
        self.texts: dict[str, str] = {}
        self.language: str | None = None
        self.segment: list[str] | None = None
        self.inside = 0  # of so many elements of formatting

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tu":
            self.line, self.size, self.texts = self.parser.CurrentLineNumber, 0, {}
        elif name == "tuv":
            told = attributes.get("xml:lang") or attributes.get("lang") or ""
            self.language = language_code(told) or told.strip().lower()
        elif name == "seg":
            self.segment, self.inside = [], 0
        elif name in FORMATTING:
            self.inside += 1

    def data(self, text: str) -> None:
        if self.segment is not None and not self.inside:
            self.size += len(text)
            if self.size > RECORD_LIMIT:
                raise TextError(f"the unit that begins at line {self.line} is larger than {RECORD_LIMIT >> 20} MiB")
            self.segment.append(text)

    def end(self, name: str) -> None:
        if name == "seg" and self.segment is not None:
            if self.language:
                self.texts.setdefault(self.language, "".join(self.segment))
            self.segment = None
        elif name == "tu":
            if len(self.texts) < 2:
                languages = ", ".join(self.texts) or "no language"
                self.member.fault(self.line, f"a unit with texts in {languages} alone; a pair needs two")
            else:
                self.finished.append((self.line, self.texts))
        elif name in FORMATTING:
            self.inside -= 1

    def taken(self) -> Iterator[tuple[int, dict[str, str]]]:
        finished, self.finished = self.finished, []
        yield from finished
