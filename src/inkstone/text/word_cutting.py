"""Running text cut into the units that a tagger knows, and units put back into text.

A tagger reads units as its training data has them: words with their punctuation apart, "do" and "n't" or "don't", "@name" or
"@" and "name", Chinese words or single characters. Which, the data tell (`Cutting.of`); new text is cut in the same way, each
unit with the place where it stands.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import regex

from inkstone.text.words import words

# Scripts that are written without blanks, their punctuation, and full-width forms.
WITHOUT_BLANKS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\u3000-\u303f\uff00-\uffef]")
HAN = regex.compile(r"\p{Han}+")
SIGNS = regex.compile(r"(\S)\1*")  # a sign, or a run of the same: "..." and "!!"
HANDLE = regex.compile(r"(?:https?://|www\.)\S+|[@#][\w]+")
CLITIC = regex.compile(r"(?i)(?:n['’]t|['’](?:s|re|ve|ll|d|m))$")
CLITICS = {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m"}
SAMPLE = 100_000  # words by which a cutting is told
FEW = 1e-4  # of the words: what is rarer is an accident
SINGLE = 0.95  # of the units that are single characters, where units are characters

Units = Literal["words", "han", "characters"]


@dataclass(frozen=True)
class Cutting:
    """How text is cut: into words, into words but single Chinese characters, or into characters."""

    units: Units = "words"
    clitics: bool = False  # whether "don't" is two units
    handles: bool = False  # whether "@name", "#tag" and addresses are one

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> "Cutting":
        """The cutting of data in which these are the units.

        >>> Cutting.of([["I", "do", "n't", "know", "@ink"]])
        Cutting(units='words', clitics=True, handles=True)
        >>> Cutting.of([["我", "爱", "北", "京"]]).units
        'characters'
        """
        seen = [word for _, word in zip(range(SAMPLE), (word for own in sentences for word in own), strict=False)]
        if not seen:
            return cls()
        han = [word for word in seen if HAN.match(word)]
        single = sum(len(word) == 1 for word in seen) >= SINGLE * len(seen)
        apart = bool(han) and sum(len(word) == 1 for word in han) >= SINGLE * len(han)
        clitics = sum(word.lower().replace("’", "'") in CLITICS for word in seen)
        handles = sum(len(word) > 2 and HANDLE.fullmatch(word) is not None for word in seen)
        return cls(
            "characters" if single else "han" if apart else "words",
            clitics > FEW * len(seen),
            handles > FEW * len(seen),
        )

    def places(self, text: str) -> list[tuple[int, int]]:
        """Begin and stop of each unit of a text; blanks belong to none.

        >>> text = "Don't stop!! 我爱北京"
        >>> [text[a:b] for a, b in Cutting(clitics=True).places(text)]
        ['Do', "n't", 'stop', '!!', '我', '爱', '北京']
        """
        if self.units == "characters":
            return [(at, at + 1) for at, character in enumerate(text) if not character.isspace()]
        found: list[tuple[int, int]] = []
        at = 0
        for match in HANDLE.finditer(text) if self.handles else ():
            if match.start() == 0 or not text[match.start() - 1].isalnum():
                found += self._plain(text, at, match.start())
                found.append(match.span())
                at = match.end()
        return found + self._plain(text, at, len(text))

    def _plain(self, text: str, begin: int, stop: int) -> list[tuple[int, int]]:
        """Words, and all that stands between them but blanks."""
        part, at = text[begin:stop], 0
        found: list[tuple[int, int]] = []
        for word in words(part):
            start = part.index(word, at)
            found += [match.span() for match in SIGNS.finditer(part, at, start)]
            at = start + len(word)
            found += self._parted(word, start)
        found += [match.span() for match in SIGNS.finditer(part, at)]
        return [(begin + first, begin + last) for first, last in found]

    def _parted(self, word: str, start: int) -> list[tuple[int, int]]:
        if self.units == "han" and HAN.match(word):
            return [(start + at, start + at + 1) for at in range(len(word))]
        clitic = CLITIC.search(word) if self.clitics else None
        if clitic and clitic.start():
            return [(start, start + clitic.start()), (start + clitic.start(), start + len(word))]
        return [(start, start + len(word))]


def joined(units: Sequence[str]) -> tuple[str, list[int]]:
    """Units as running text, and where each begins: a blank between two, but none beside scripts that have none.

    >>> joined(["我", "爱", "New", "York", "。"])
    ('我爱New York。', [0, 1, 2, 6, 10])
    """
    parts: list[str] = []
    starts: list[int] = []
    at, before = 0, ""
    for unit in units:
        if before and not WITHOUT_BLANKS.match(unit[:1]) and not WITHOUT_BLANKS.match(before[-1:]):
            parts.append(" ")
            at += 1
        starts.append(at)
        parts.append(unit)
        at, before = at + len(unit), unit
    return "".join(parts), starts


def placed(units: Sequence[str], text: str) -> list[int] | None:
    """Where each unit begins in a text that holds them in order with nothing but blanks between; None where it does not.

    >>> placed(["do", "n't"], "I don't") is None, placed(["do", "n't"], "don't")
    (True, [0, 2])
    """
    starts, at = [], 0
    for unit in units:
        while at < len(text) and text[at].isspace() and not text.startswith(unit, at):
            at += 1
        if not text.startswith(unit, at):
            return None
        starts.append(at)
        at += len(unit)
    return None if text[at:].strip() else starts
