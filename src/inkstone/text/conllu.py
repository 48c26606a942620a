"""CoNLL-U, the format of Universal Dependencies treebanks: sentences of words, each with its lemma, tags and head.

A word is a line of ten columns between tabs, a sentence ends with an empty line, comments begin with "#". What is no
syntactic word is passed over: multiword tokens ("3-4 vámonos"), whose words follow, and empty nodes ("8.1"), which the
enhanced graph alone knows. Source: universaldependencies.org/format.html.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inkstone.errors import TextError
from inkstone.text import archives
from inkstone.text.encoding import Decoding, utf8_blocks

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Word:
    """A syntactic word: the columns after its number, as they stand; "_" is an empty one."""

    form: str
    lemma: str = "_"
    upos: str = "_"
    xpos: str = "_"
    feats: str = "_"
    head: str = "_"  # the number of another word, from 1, or 0 for the root
    deprel: str = "_"
    deps: str = "_"
    misc: str = "_"


@dataclass(slots=True)
class Sentence:
    """Words in their order, and the comment lines above them without "#"."""

    words: list[Word] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def forms(self) -> list[str]:
        """The words as written."""
        return [word.form for word in self.words]

    def column(self, name: str) -> list[str]:
        """One column of all words, such as "upos"."""
        return [getattr(word, name) for word in self.words]

    def text(self) -> str:
        """The sentence in CoNLL-U, its empty line included."""
        lines = [f"# {comment}" if comment else "#" for comment in self.comments]
        for number, word in enumerate(self.words, 1):
            lines.append("\t".join([str(number), *(getattr(word, name) for name in COLUMNS[1:])]))
        return "\n".join(lines) + "\n\n"


def read_conllu(path: Path | str) -> Iterator[Sentence]:
    """The sentences of a file, which may be packed (.gz, .bz2, .xz, .zst) or an archive of such files.

    Raises TextError with file and line where a line is not CoNLL-U, and for a file that cannot be read.
    """
    path = Path(path)

    def refuse(member: str, reason: str) -> None:
        raise TextError(f"{member}: {reason}")

    try:
        with open(path, "rb", buffering=0) as file:
            size = path.stat().st_size
            outer = archives.watched(file, lambda number: None)
            for label, _, stream in archives.unpacked(str(path), path.name, outer, lambda: size, refuse):
                blocks = iter(lambda stream=stream: stream.read(BLOCK), b"")
                yield from parse_conllu(_lines(utf8_blocks(blocks, Decoding())), label)
    except archives.DAMAGE as error:
        raise TextError(f"{path}: {archives.damage_reason(error)}") from error


def parse_conllu(lines: Iterable[str], source: str) -> Iterator[Sentence]:
    """The sentences in lines without their ends; `source` names the file in errors.

    The last sentence may lack its empty line. Raises TextError ("source:line: ...") for a line with too few columns or
    a word out of its order.

    >>> [s.forms for s in parse_conllu(["# text = 墨", "1\\t墨" + "\\t_" * 8], "ink.conllu")]
    [['墨']]
    """
    sentence = Sentence()
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line.strip():
            if sentence.words:
                yield sentence
                sentence = Sentence()
        elif line.startswith("#"):
            if sentence.words:
                raise TextError(f"{source}:{number}: a comment inside a sentence; put an empty line before it")
            sentence.comments.append(line[1:].removeprefix(" "))
        else:
            word = _word(line, len(sentence.words) + 1, f"{source}:{number}")
            if word is not None:
                sentence.words.append(word)
    if sentence.words:
        yield sentence


def _word(line: str, expected: int, place: str) -> Word | None:
    columns = line.split("\t")
    if len(columns) != len(COLUMNS):
        raise TextError(
            f"{place}: {len(columns)} columns between tabs, but CoNLL-U has {len(COLUMNS)}: {', '.join(COLUMNS)}"
        )
    number = columns[0]
    first, mark, second = number.partition("-" if "-" in number else ".")
    if mark and first.isdecimal() and second.isdecimal():
        return None  # a multiword token or an empty node
    if number != str(expected):
        raise TextError(
            f"{place}: word number {number!r} where {expected} is next; words count from 1 in each sentence"
        )
    if not columns[1]:
        raise TextError(f"{place}: the form of the word is empty; an unknown one is written '_'")
    return Word(*columns[1:])


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.decode()
    if rest:
        yield rest.decode()
