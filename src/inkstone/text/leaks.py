"""Leaks: texts of one part of a data set that another part holds, too, word for word or nearly.

A test part that repeats what was learned from measures memory. Two texts are the same if they are so without regard
to case, width, punctuation and blanks; nearly the same if their shingles (`text/shingles.py`: five words, or characters
of unspaced scripts, in a row) have a Jaccard similarity of `THRESHOLD`, estimated by the signatures of `text/duplicates.py`.
Texts of fewer than five such units are only compared word for word.

The time is linear in the rows: a row is compared with those that share a band of the signature, and of a band that very many
share (a thousand mails of one template) with `LOOKED_AT` of each part. A match can then be missed, if no other band shows it.
A text that stands in many rows, as the context of many questions, is looked at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
import regex

from inkstone.errors import TextError
from inkstone.text.duplicates import band_keys, content_digests, signature_marks, similarity
from inkstone.text.shingles import signatures

THRESHOLD = 0.8
LOOKED_AT = 16  # rows of each part, in a band that many share
AT_ONCE = 1 << 16  # pairs whose similarity is estimated together
MATCHES = pl.Schema(
    {
        "part": pl.String,
        "row": pl.Int64,  # from 0
        "other_part": pl.String,  # the one that was named before
        "other_row": pl.Int64,  # of the rows there, the most similar; of several, the first
        "similarity": pl.Float64,  # 1.0: the same
        "exact": pl.Boolean,
    }
)
_MARKS = regex.compile(r"(?<!\d)[\p{P}\p{Z}\p{Cc}\p{Cf}]+|[\p{P}\p{Z}\p{Cc}\p{Cf}]+(?!\d)")  # 1.5 is not 15


@dataclass(frozen=True)
class Leaks:
    """What the later parts of a data set share with the earlier ones."""

    matches: pl.DataFrame  # MATCHES, one line at most for each row and each part before its own
    texts: dict[str, pl.Series]

    def rows(self, part: str) -> list[int]:
        """The rows of a part that any part before it holds, too."""
        return self.matches.filter(pl.col("part") == part)["row"].unique().sort().to_list()

    def counts(self) -> pl.DataFrame:
        """part, other_part, exact, near, share: how many rows leak, for each two parts, and their share of the part."""
        lines = []
        for other, part in combinations(self.texts, 2):
            found = self.matches.filter((pl.col("part") == part) & (pl.col("other_part") == other))["exact"]
            share = len(found) / max(len(self.texts[part]), 1)
            lines.append((part, other, int(found.sum()), len(found) - int(found.sum()), share))
        schema = {"part": pl.String, "other_part": pl.String, "exact": pl.Int64, "near": pl.Int64, "share": pl.Float64}
        return pl.DataFrame(lines, schema=schema, orient="row")

    def examples(self, number: int = 5) -> pl.DataFrame:
        """The first matches, near ones before exact ones, with both texts in the columns `text` and `other_text`."""
        first = self.matches.sort("exact", maintain_order=True).head(number)
        return first.with_columns(
            pl.Series(name, [self.texts[part][row] for part, row in first.select(at, of).iter_rows()], dtype=pl.String)
            for name, at, of in (("text", "part", "row"), ("other_text", "other_part", "other_row"))
        )


def find_leaks(parts: Mapping[str, Iterable[str]], threshold: float = THRESHOLD) -> Leaks:
    """The rows of each part that a part named before it holds, too: name train first, then dev, then test.

    A pair of texts is looked at as one text: give both, joined. Raises TextError for a threshold outside (0, 1], and for a
    row without a text.
    """
    texts = {name: _column(name, rows) for name, rows in parts.items()}
    sizes = [len(column) for column in texts.values()]
    everything = pl.concat([pl.Series(dtype=pl.String), *texts.values()])
    part = np.repeat(np.arange(len(sizes)), sizes)
    first_row = np.cumsum([0, *sizes])
    same = same_texts(everything)
    found: dict[tuple[int, int], tuple[int, float]] = {}  # by row and other part: the other row, the similarity
    held: dict[tuple[int, int], int] = {}  # the first row with this text in this part
    for row, (text, mine) in enumerate(zip(same.tolist(), part.tolist(), strict=True)):
        for other in range(mine):
            if (text, other) in held:
                found[row, other] = (held[text, other], 1.0)
        held.setdefault((text, mine), row)
    exact = set(found)
    first_with: dict[tuple[str, int], int] = {}  # the first row of a part with this text, which stands for the others
    leader = [
        first_with.setdefault(key, row) for row, key in enumerate(zip(everything.to_list(), part.tolist(), strict=True))
    ]
    leaders = np.fromiter(first_with.values(), np.int64, len(first_with))
    for rows, others, alike in near_pairs(everything[leaders], part[leaders], threshold, within=False):
        swap = part[leaders[rows]] < part[leaders[others]]
        rows, others = leaders[np.where(swap, others, rows)], leaders[np.where(swap, rows, others)]
        for row, other, value in zip(rows.tolist(), others.tolist(), alike.tolist(), strict=True):
            key = (row, int(part[other]))
            known, best = found.get(key, (other, 0.0))
            if key not in exact and (-value, other) <= (-best, known):
                found[key] = (other, value)
    for row, first in enumerate(leader):
        found |= {(row, other): found[first, other] for other in range(part[row]) if (first, other) in found}
    names = list(texts)
    lines = [
        (names[part[row]], row - first_row[part[row]], names[of], other - first_row[of], value, (row, of) in exact)
        for (row, of), (other, value) in sorted(found.items())
    ]
    return Leaks(pl.DataFrame(lines, schema=MATCHES, orient="row"), texts)


def duplicate_groups(texts: Iterable[str], threshold: float | None = THRESHOLD) -> np.ndarray:
    """For each text the number of the first that is the same or, through others perhaps, nearly the same.

    The groups for `text/folds.py`. Without a threshold only texts that are the same are put together.
    """
    column, number, firsts = _distinct(_column("texts", texts))
    group = same_texts(column)
    if threshold is not None:
        for rows, others, _ in near_pairs(column, np.zeros(len(column), dtype=np.int64), threshold, within=True):
            for row, other in zip(rows.tolist(), others.tolist(), strict=True):
                a, b = _root(group, row), _root(group, other)
                group[max(a, b)] = min(a, b)
    return firsts[np.array([_root(group, row) for row in range(len(group))], dtype=np.int64)][number]


def same_texts(texts: pl.Series) -> np.ndarray:
    """For each text the number of the first that is the same but for case, width, punctuation and blanks.

    Of a text of punctuation alone, punctuation counts.
    """
    distinct, number, _ = _distinct(texts)
    plain = distinct.str.normalize("NFKC")
    bare = pl.Series([_MARKS.sub("", text) or text for text in plain.to_list()], dtype=pl.String)
    digests = content_digests(bare)[number]
    _, first, place = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    return first[place.ravel()]


def near_pairs(
    texts: pl.Series, part: np.ndarray, threshold: float, within: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, other rows, similarities: pairs of near-duplicates of different parts, or `within` the one part that there is.

    A pair may come more than once.
    """
    if not 0 < threshold <= 1:
        raise TextError(f"threshold = {threshold}, but a similarity lies above 0 and is at most 1")
    values, enough = signatures(texts)
    rows = np.flatnonzero(enough)
    marks = signature_marks(values[rows])
    for band in band_keys(values[rows]):
        pairs = [pair for bucket in _buckets(band) for pair in _candidates(bucket, part[rows[bucket]], within)]
        one, two = np.concatenate([np.zeros((2, 0), dtype=np.int64), *pairs], axis=1)
        for at in range(0, len(one), AT_ONCE):
            first, second = one[at : at + AT_ONCE], two[at : at + AT_ONCE]
            alike = similarity(marks[first], marks[second])
            hits = alike >= threshold
            yield rows[first[hits]], rows[second[hits]], np.minimum(alike[hits], 1.0)


def _buckets(keys: np.ndarray) -> Iterator[np.ndarray]:
    """The positions of each key that stands more than once, ascending."""
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    yield from (bucket for bucket in np.split(order, cuts) if len(bucket) > 1)


def _candidates(bucket: np.ndarray, part: np.ndarray, within: bool) -> list[np.ndarray]:
    """Pairs of positions to be compared: each with the first few of every other part, or with the few before it."""
    if within:
        steps = range(1, min(LOOKED_AT, len(bucket) - 1) + 1)
        return [np.stack([bucket[:-step], bucket[step:]]) for step in steps]
    of_part = [bucket[part == number] for number in np.unique(part)]
    pairs = []
    for earlier, later in combinations(of_part, 2):
        first = earlier[:LOOKED_AT]
        pairs.append(np.stack([np.repeat(first, len(later)), np.tile(later, len(first))]))
    return pairs


def _column(part: str, rows: Iterable[str]) -> pl.Series:
    texts = list(rows)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TextError(f"{part}: row {number} is {text!r}, and no text; leave it out or give it one")
    return pl.Series(texts, dtype=pl.String)


def _distinct(texts: pl.Series) -> tuple[pl.Series, np.ndarray, np.ndarray]:
    """Each text once, in the order in which they come first; the number of each row's text; the first row of each text."""
    numbers: dict[str, int] = {}
    number = np.array([numbers.setdefault(text, len(numbers)) for text in texts.to_list()], dtype=np.int64)
    return pl.Series(list(numbers), dtype=pl.String), number, np.unique(number, return_index=True)[1]


def _root(group: np.ndarray, row: int) -> int:
    """The first of the group of a row; the way there is made shorter."""
    while group[row] != row:
        group[row] = group[group[row]]
        row = int(group[row])
    return row
