"""What a tagger looks at: the word, its beginning, end and shape, its neighbours, and pairs of these.

Most features belong to a word type, not to a place in the text: "ends in -ing" holds for every "running". So the score of
a place is a sum over a few tables, one for each offset (this word, the word before, ...), with a row for each word type, plus
the rows of the pairs found there. A corpus of a million words then costs a few additions a word, and the features are
looked at once for each of its types. This changes nothing in the model: it is the same sum in another order.

Of Chinese words, whose spelling says little, the tag that rjieba's dictionary gives them is a feature as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from inkstone.text.dictionary import dictionary_tag

BEFORE, AFTER = "\x02", "\x03"  # stand for what lies before the first and after the last word
REACH = 2  # words to both sides
OFFSETS = (0, -1, 1, -2, 2)

# Pairs of what stands at two offsets. "lower" is the word in lower case, "end" its last three characters; "mostly", in Chinese
# text alone, what the dictionary says of the word, or the shape of one that it does not know.
PAIRS = (
    ((-1, "lower"), (0, "lower")),
    ((0, "lower"), (1, "lower")),
    ((-1, "end"), (0, "end")),
    ((0, "end"), (1, "end")),
    ((-1, "end"), (1, "end")),
    ((-2, "end"), (-1, "end")),
    ((-1, "mostly"), (0, "mostly")),
    ((0, "mostly"), (1, "mostly")),
    ((-1, "mostly"), (1, "mostly")),
    ((-2, "mostly"), (-1, "mostly")),
)
LONGEST_AFFIX = 5
CHINESE = 0.1  # of the word types are known to the dictionary, in a text that is Chinese
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class _Kinds(dict[int, str]):
    """The kind of each character, as `str.translate` asks for it; looked at once for each."""

    def __missing__(self, code: int) -> str:
        c = chr(code)
        kind = "c" if CJK.match(c) else "d" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c
        self[code] = kind
        return kind


KINDS = _Kinds()


@lru_cache(maxsize=1 << 16)  # asked for at every offset
def shape_of(word: str) -> str:
    """The kinds of characters in a word: capitals X, small letters x, digits d, hanzi and kana c; runs are cut to one.

    >>> shape_of("McDonald's"), shape_of("B-52"), shape_of("砚台")
    ("XxXx'x", 'X-d', 'c')
    """
    shape = ""
    for kind in word.translate(KINDS):
        if kind != shape[-1:]:
            shape += kind
    return shape


def own_features(word: str) -> list[str]:
    """The features of a word for its own tag.

    >>> own_features("Ink")
    ['word=Ink', 'lower=ink', 'shape=Xx', 'begin=i', 'end=k', 'begin=in', 'end=nk', 'begin=ink', 'end=ink', 'capital']
    """
    lower = word.lower()
    found = [f"word={word}", f"lower={lower}", f"shape={shape_of(word)}"]
    for size in range(1, min(LONGEST_AFFIX, len(word)) + 1):
        found += [f"begin={lower[:size]}", f"end={lower[-size:]}"]
    if word[:1].isupper():
        found.append("capital")
    if CJK.search(word):
        found += [f"length={len(word)}", *(f"has={character}" for character in word)]
    return found + _told(word)


def neighbour_features(word: str) -> list[str]:
    """The features of a word for the tag of the word beside it."""
    lower = word.lower()
    return [
        f"lower={lower}",
        f"end={lower[-3:]}",
        f"end={lower[-2:]}",
        f"begin={lower[:1]}",
        f"shape={shape_of(word)}",
        *_told(word),
    ]


def _told(word: str) -> list[str]:
    tag = dictionary_tag(word)
    return [] if tag is None else [f"mostly={tag}"]


def features_at(word: str, offset: int) -> list[str]:
    """The features that a word gives to the place `offset` words before it, named with that offset."""
    if word in (BEFORE, AFTER):
        return [f"{offset}:{word}"]
    if offset == 0:
        found = own_features(word)
    elif abs(offset) == 1:
        found = neighbour_features(word)
    else:
        found = [f"lower={word.lower()}"]
    return [f"{offset}:{name}" for name in dict.fromkeys(found)]  # a short word has the same end twice


def part_of(word: str, kind: str) -> str:
    """What a pair looks at: the word in lower case, its end, or what the dictionary says it is, else its shape."""
    if kind == "mostly":
        return dictionary_tag(word) or shape_of(word)
    return word.lower() if kind == "lower" else word.lower()[-3:]


@dataclass(frozen=True)
class Places:
    """The words of a text as numbers of word types, seen from every place."""

    types: list[str]
    at: np.ndarray  # (offsets, n) the type at each of OFFSETS from each of n places


def places_of(sentences: Sequence[Sequence[str]]) -> Places:
    """The places of all words in reading order; beyond the ends of a sentence stand BEFORE and AFTER."""
    number: dict[str, int] = {}  # from 2: also of a word that is BEFORE or AFTER
    padded: list[int] = []
    for sentence in sentences:
        padded += (0,) * REACH
        padded += [number.setdefault(word, len(number) + 2) for word in sentence]
        padded += (1,) * REACH
    line = np.array(padded, dtype=np.int64)
    places = np.flatnonzero(line > 1)
    return Places([BEFORE, AFTER, *number], line[places + np.array(OFFSETS)[:, None]])


@dataclass(frozen=True)
class Bags:
    """A sparse matrix of ones: row i has the columns columns[begins[i] : begins[i + 1]], the last row all that are left."""

    columns: np.ndarray
    begins: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Bags":
        """From the columns of each row."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        columns = np.fromiter((column for row in rows for column in row), np.int64, int(lengths.sum()))
        return cls(columns, np.cumsum(lengths) - lengths)

    def transposed(self, n_columns: int) -> "Bags":
        """The rows of each column."""
        lengths = np.diff(self.begins, append=len(self.columns))
        rows = np.repeat(np.arange(len(self.begins)), lengths)
        counts = np.bincount(self.columns, minlength=n_columns)
        return Bags(rows[np.argsort(self.columns, kind="stable")], np.cumsum(counts) - counts)


@dataclass(frozen=True)
class FeatureIndex:
    """Which features a tagger knows, each with a row of the weights: first the named ones, then the pairs."""

    names: list[str]
    parts: dict[str, list[str]]  # by kind, what stands in pairs; numbered from 1
    pairs: list[np.ndarray]  # for each of PAIRS the known pairs as first · (parts + 1) + second, sorted

    @classmethod
    def of(cls, places: Places, fewest: int) -> "FeatureIndex":
        """The features that are found at least `fewest` times in a text."""
        counts: dict[str, int] = {}
        for offset, types in zip(OFFSETS, places.at, strict=True):
            for kind, count in enumerate(np.bincount(types, minlength=len(places.types)).tolist()):
                if count:
                    for name in features_at(places.types[kind], offset):
                        counts[name] = counts.get(name, 0) + count
        names = [name for name, count in counts.items() if count >= fewest]
        kinds = {kind for pair in PAIRS for _, kind in pair}
        parts = {kind: list(dict.fromkeys(part_of(word, kind) for word in places.types)) for kind in sorted(kinds)}
        if sum(dictionary_tag(word) is not None for word in places.types) < CHINESE * len(places.types):
            parts["mostly"] = []
        empty = cls(names, parts, [])
        pairs = []
        for keys in empty.pair_keys(places):
            found, times = np.unique(keys, return_counts=True)
            pairs.append(found[(times >= max(fewest, 2)) & (found > 0)])
        return cls(names, parts, pairs)

    @property
    def size(self) -> int:
        """Rows of the weights."""
        return len(self.names) + sum(map(len, self.pairs))

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each named feature."""
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def part_numbers(self) -> dict[str, dict[str, int]]:
        """The number of each part, by kind."""
        return {kind: {part: number for number, part in enumerate(parts, 1)} for kind, parts in self.parts.items()}

    def rows_at_offsets(self, types: Sequence[str]) -> list[list[int]]:
        """The rows of the known features of word types: of all types at the first of OFFSETS, then at the second, ..."""
        rows = self.rows
        return [[rows[n] for n in features_at(word, offset) if n in rows] for offset in OFFSETS for word in types]

    def pair_keys(self, places: Places) -> list[np.ndarray]:
        """For each of PAIRS, the pair that stands at each place, as one number; 0 where a part is unknown."""
        numbers = {
            kind: np.array([known.get(part_of(word, kind), 0) for word in places.types], dtype=np.int64)
            for kind, known in self.part_numbers.items()
        }
        keys = []
        for (first, kind), (second, other) in PAIRS:
            a = numbers[kind][places.at[OFFSETS.index(first)]]
            b = numbers[other][places.at[OFFSETS.index(second)]]
            keys.append(np.where((a > 0) & (b > 0), a * (len(self.parts[other]) + 1) + b, 0))
        return keys

    def pair_rows(self, places: Places) -> np.ndarray:
        """For each place and each of PAIRS, its number among all known pairs, or their count where it is unknown."""
        total = sum(map(len, self.pairs))
        found, first = [], 0
        for keys, known in zip(self.pair_keys(places), self.pairs, strict=True):
            at = np.searchsorted(known, keys)
            hit = np.zeros(len(keys), dtype=bool) if not len(known) else known[np.minimum(at, len(known) - 1)] == keys
            found.append(np.where(hit, first + at, total))
            first += len(known)
        return np.stack(found, axis=1)
