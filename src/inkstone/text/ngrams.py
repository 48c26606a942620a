"""N-grams as columns: of words, of characters where a script writes words without blanks, and of the letters inside words.

Words of Chinese, Japanese or Thai need no segmenter here: runs of up to three characters hold them, and what stands beside
them. Letters, which are counted where that is asked for, are those of one word with a blank on both sides: " unb", "able ". Case,
full width and punctuation make no difference.
"""

from collections import Counter
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

Kind = Literal["words", "characters", "letters"]

POINTS = 0x110000  # code points of Unicode; its cube still fits 64 bits
LETTERS = 6000  # different ones that are told apart, the most frequent; the fifth power still fits 64 bits

_UNSPACED = "".join(f"{chr(low)}-{chr(high)}" for _, ranges, unspaced in SCRIPTS if unspaced for low, high in ranges)
_RUN = regex.compile(f"[{_UNSPACED}]+")


@dataclass(frozen=True)
class NgramSettings:
    """Which n-grams are counted."""

    words: int = 2  # the longest, of words
    characters: int = 3  # the longest, of characters of scripts without blanks
    fewest: int = 1  # texts that an n-gram must stand in
    letters: int = 0  # the longest, of letters inside a word; 0: none are counted, else those of 2 and more

    def __post_init__(self) -> None:
        if not (0 <= self.words <= 3 and 0 <= self.characters <= 3):
            raise RecipeError(
                f"words = {self.words} and characters = {self.characters}, but n-grams have at most 3 units"
            )
        if not (0 <= self.letters <= 5 and self.letters != 1):
            raise RecipeError(f"letters = {self.letters}, but n-grams of letters have 2 to 5, or 0 for none")
        if self.words + self.characters == 0:
            raise RecipeError("words = 0 and characters = 0 leave nothing to count; let one be above 0")
        if self.fewest < 1:
            raise RecipeError(f"fewest = {self.fewest}, but an n-gram must stand in at least 1 text")

    @property
    def lengths(self) -> dict[Kind, range]:
        """The lengths of n-grams of each kind."""
        return {
            "words": range(1, self.words + 1),
            "characters": range(1, self.characters + 1),
            "letters": range(2, self.letters + 1),
        }


@dataclass(frozen=True)
class Line:
    """The units of texts in a row as numbers: those of one text and run that follow each other make n-grams."""

    texts: np.ndarray  # the text of each unit
    runs: np.ndarray  # the run of each unit
    units: np.ndarray  # of a word its number, of a character its code point, of a letter its place in the alphabet


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
        lines = index.lines(texts, learn=True, letters=settings.letters > 0)
        for kind, lengths in settings.lengths.items():
            for n in lengths:
                rows, codes = index.ngrams(lines[kind], kind, n)
                known, column = np.unique(codes, return_inverse=True)
                having = np.unique(np.stack([column, owners[rows]]), axis=1)[0] if settings.fewest > 1 else column
                index.codes[kind, n] = known[np.bincount(having, minlength=len(known)) >= settings.fewest]
        return index, lines

    @cached_property
    def width(self) -> int:
        """How many n-grams have a column."""
        return sum(map(len, self.codes.values()))

    @property
    def first_letters(self) -> int:
        """The first column of n-grams of letters, which stand last."""
        return self.width - sum(len(codes) for (kind, _), codes in self.codes.items() if kind == "letters")

    @cached_property
    def alphabet(self) -> str:
        """The letters of the known words, a blank first, then the most frequent first. For when all words are known."""
        counts = Counter("".join(self.words))
        return " " + "".join(sorted(counts, key=lambda letter: (-counts[letter], letter))[: LETTERS - 1])

    def names(self) -> list[str]:
        """The n-gram of each column: words with a blank between them, characters and letters without."""
        names: list[str] = []
        known = list(self.words)
        for (kind, n), codes in self.codes.items():
            base = self._base(kind)
            digits = [(codes // base**power % base).tolist() for power in reversed(range(n))]
            if kind == "words":
                names += [" ".join(known[digit] for digit in ngram) for ngram in zip(*digits, strict=True)]
            else:
                spelled = chr if kind == "characters" else self.alphabet.__getitem__
                names += ["".join(map(spelled, ngram)) for ngram in zip(*digits, strict=True)]
        return names

    def lines(self, texts: Sequence[str], learn: bool = False, letters: bool | None = None) -> dict[Kind, Line]:
        """The words and the characters of texts, and the letters where `letters`, or else the index, has a use for them.

        New words get the next numbers, and keep them if they are to be learned.
        """
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
        numbers = np.array(line, dtype=np.int64)
        lengths = np.array([len(run) for run in runs], dtype=np.int64)
        points = np.frombuffer("".join(runs).encode("utf-32-le"), dtype="<u4").astype(np.int64)
        if letters is None:
            letters = any(kind == "letters" for kind, _ in self.codes)
        return {
            "words": Line(owners, owners, numbers),
            "characters": Line(
                np.repeat(np.repeat(np.arange(len(texts)), n_runs), lengths),
                np.repeat(np.arange(len(runs)), lengths),
                points,
            ),
            "letters": self._letters(owners, numbers, self.words | new if letters else {}),
        }

    def _letters(self, owners: np.ndarray, numbers: np.ndarray, words: dict[str, int]) -> Line:
        """The letters of a line of words, each word between blanks; none where no `words` are given."""
        if not words:
            return Line(*(np.zeros(0, dtype=np.int64) for _ in range(3)))
        place, known = {letter: at for at, letter in enumerate(self.alphabet)}, list(words)
        used, numbers = np.unique(numbers, return_inverse=True)
        spelled = [[0, *(place.get(letter, len(place)) for letter in known[number]), 0] for number in used.tolist()]
        lengths = np.array([len(word) for word in spelled], dtype=np.int64)
        begins = np.cumsum(lengths) - lengths
        units = np.array([unit for word in spelled for unit in word], dtype=np.int64)
        of_each = lengths[numbers]
        ends = np.cumsum(of_each)
        entries = np.arange(of_each.sum()) + np.repeat(begins[numbers] - (ends - of_each), of_each)
        return Line(np.repeat(owners, of_each), np.repeat(np.arange(len(numbers)), of_each), units[entries])

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
        if kind == "letters":
            return len(self.alphabet)
        return max(len(self.words), 1) if kind == "words" else POINTS
