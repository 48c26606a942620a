"""N-grams as columns: of words, and of characters where a script writes words without blanks.

Words of Chinese, Japanese or Thai need no segmenter here: runs of up to three characters hold them, and what stands beside
them. Case, full width and punctuation make no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from unicodedata import normalize

import numpy as np
import regex

from inkstone.errors import RecipeError
from inkstone.text.characters import SCRIPTS
from inkstone.text.sparse_rows import SparseRows
from inkstone.text.words import words

Kind = Literal["words", "characters"]

POINTS = 0x110000  # code points of Unicode; its cube still fits 64 bits

_UNSPACED = "".join(f"{chr(low)}-{chr(high)}" for _, ranges, unspaced in SCRIPTS if unspaced for low, high in ranges)
_RUN = regex.compile(f"[{_UNSPACED}]+")


@dataclass(frozen=True)
class NgramSettings:
    """Which n-grams are counted."""

    words: int = 2  # the longest, of words
    characters: int = 3  # the longest, of characters of scripts without blanks
    fewest: int = 1  # texts that an n-gram must stand in

    def __post_init__(self) -> None:
        if not (0 <= self.words <= 3 and 0 <= self.characters <= 3):
            raise RecipeError(
                f"words = {self.words} and characters = {self.characters}, but n-grams have at most 3 units"
            )
        if self.words + self.characters == 0:
            raise RecipeError("words = 0 and characters = 0 leave nothing to count; let one be above 0")
        if self.fewest < 1:
            raise RecipeError(f"fewest = {self.fewest}, but an n-gram must stand in at least 1 text")

    @property
    def longest(self) -> dict[Kind, int]:
        """The longest n-gram of each kind."""
        return {"words": self.words, "characters": self.characters}


@dataclass(frozen=True)
class Line:
    """The units of texts in a row as numbers: those of one text and run that follow each other make n-grams."""

    texts: np.ndarray  # the text of each unit
    runs: np.ndarray  # the run of each unit
    units: np.ndarray  # of a word its number, of a character its code point


@dataclass
class NgramIndex:
    """The n-grams that have a column. A code is a number whose digits are the units, to the base of how many there are."""

    words: dict[str, int]  # the number of each word
    codes: dict[tuple[Kind, int], np.ndarray] = field(default_factory=dict)  # sorted, by kind and length

    @classmethod
    def learn(
        cls, texts: Sequence[str], owners: np.ndarray, settings: NgramSettings
    ) -> tuple["NgramIndex", dict[Kind, Line]]:
        """The n-grams of texts that enough of their owners have: the text itself, or the pair that it is a side of.

        And the lines of the texts, which to find takes longest.
        """
        index = cls({})
        lines = index.lines(texts, learn=True)
        for kind, longest in settings.longest.items():
            for n in range(1, longest + 1):
                rows, codes = index.ngrams(lines[kind], kind, n)
                known, column = np.unique(codes, return_inverse=True)
                having = np.unique(np.stack([column, owners[rows]]), axis=1)[0] if settings.fewest > 1 else column
                index.codes[kind, n] = known[np.bincount(having, minlength=len(known)) >= settings.fewest]
        return index, lines

    @cached_property
    def width(self) -> int:
        """How many n-grams have a column."""
        return sum(map(len, self.codes.values()))

    def names(self) -> list[str]:
        """The n-gram of each column: words with a blank between them, characters without."""
        names: list[str] = []
        known = list(self.words)
        for (kind, n), codes in self.codes.items():
            base = self._base(kind)
            digits = [(codes // base**power % base).tolist() for power in reversed(range(n))]
            if kind == "words":
                names += [" ".join(known[digit] for digit in ngram) for ngram in zip(*digits, strict=True)]
            else:
                names += ["".join(map(chr, ngram)) for ngram in zip(*digits, strict=True)]
        return names

    def lines(self, texts: Sequence[str], learn: bool = False) -> dict[Kind, Line]:
        """The words and the characters of texts. New words get the next numbers, and keep them if they are to be learned."""
        new = self.words if learn else {}
        before = 0 if learn else len(self.words)
        runs: list[str] = []
        line: list[int] = []
        n_runs, n_words = [], []
        for text in texts:
            plain = normalize("NFKC", text).lower()
            found = _RUN.findall(plain)
            inside = words(_RUN.sub(" ", plain) if found else plain)
            runs += found
            n_runs.append(len(found))
            n_words.append(len(inside))
            for word in inside:
                number = self.words.get(word)
                line.append(new.setdefault(word, before + len(new)) if number is None else number)
        owners = np.repeat(np.arange(len(texts)), n_words)
        lengths = np.array([len(run) for run in runs], dtype=np.int64)
        points = np.frombuffer("".join(runs).encode("utf-32-le"), dtype="<u4").astype(np.int64)
        return {
            "words": Line(owners, owners, np.array(line, dtype=np.int64)),
            "characters": Line(
                np.repeat(np.repeat(np.arange(len(texts)), n_runs), lengths),
                np.repeat(np.arange(len(runs)), lengths),
                points,
            ),
        }

    def ngrams(self, line: Line, kind: Kind, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The text and the code of each n-gram whose units are known."""
        base, last = self._base(kind), max(len(line.units) - n + 1, 0)
        codes = np.zeros(last, dtype=np.int64)
        whole = line.runs[:last] == line.runs[n - 1 :][:last]
        for step in range(n):
            unit = line.units[step : last + step]
            whole &= unit < base
            codes = codes * base + unit
        return line.texts[:last][whole], codes[whole]

    def counts(self, lines: dict[Kind, Line], n_texts: int) -> SparseRows:
        """How often each n-gram that has a column stands in each text."""
        keys, begin = [np.zeros(0, dtype=np.int64)], 0
        for (kind, n), known in self.codes.items():
            if len(known):
                texts, codes = self.ngrams(lines[kind], kind, n)
                order = np.argsort(codes)  # a search for sorted codes goes once through the memory
                texts, codes = texts[order], codes[order]
                place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
                hit = known[place] == codes
                keys.append(texts[hit] * self.width + begin + place[hit])
                begin += len(known)
        key, times = np.unique(np.concatenate(keys), return_counts=True)
        return SparseRows.of_keys(key, times, (n_texts, self.width))

    def _base(self, kind: Kind) -> int:
        return max(len(self.words), 1) if kind == "words" else POINTS
