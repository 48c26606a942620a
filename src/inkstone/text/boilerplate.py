"""Lines that are no part of a text: menus, cookie banners, headers and footers that stand in many documents.

A line goes when it is one of a few well-known phrases or when it recurs across the corpus, and never when that would
take most of its document. Code is left alone: its imports recur, and rightly. So are short lines, refrains within a
document, and whatever stands in fewer than ten documents.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

MIN_LINE_BYTES = 24  # shorter lines recur by chance: "Chapter I", "Yes.", a tune's name
MIN_DOCUMENTS = 10
SHARE = 0.02  # of the documents so far
ENOUGH_DOCUMENTS = 500  # that many suffice in however large a corpus
MOST_OF_A_DOCUMENT = 0.5  # recurring lines that make up more of a document are its text: drafts, templates
MOST_LINES_COUNTED = 1 << 22  # 50 MB of counters
EXAMPLES = 20

# Whole lines, of any length, that the web puts around its texts.
_PHRASES = (
    r"(?:we|this (?:web)?site|our (?:web)?site)(?: and our partners)? uses? cookies\b.{0,200}",
    r"by (?:continuing|using) .{0,40}(?:site|browse).{0,40}(?:you )?agree.{0,20} (?:our|the) use of cookies.{0,80}",
    r"(?:accept|reject|allow|manage)(?: all| necessary| only| my)* cookies?(?: settings| preferences)?\.?",
    r"(?:please )?(?:enable|turn on) javascript.{0,80}",
    r"javascript (?:is|must be) (?:disabled|enabled|required)\b.{0,80}",
    r"skip to (?:main |primary )?(?:content|navigation)\.?",
    r"(?:share|follow us|like us|find us) on (?:facebook|twitter|x|linkedin|pinterest|whatsapp|instagram|reddit)\.?",
    r"(?:subscribe to|sign up for) (?:our|the) (?:free |weekly |daily )?newsletter\b.{0,40}",
    r"(?:copyright )?(?:©|\(c\)) ?\d{4}.{0,60} all rights reserved\.?",
    r"all rights reserved\.?",
    r"(?:本网站|本站|我们|本網站|我們)使用 ?cookies?.{0,100}",
    r"(?:接受|拒绝|拒絕|管理)(?:所有|全部|必要)? ?cookies?",
    r"版权所有.{0,60}|版權所有.{0,60}",
    r".{0,10}icp备\d{6,}号.{0,20}",
    r"(?:扫一扫|扫描二维码|長按二維碼|长按二维码).{0,20}(?:关注|關注|分享).{0,20}",
)
# One of these stands in every such line; a search for plain words is many times faster than the expression.
_SIGNS = [
    "cookie", "javascript", "skip to ", " on facebook", " on twitter", " on x", " on linkedin", " on pinterest", " on whatsapp",
    " on instagram", " on reddit", "newsletter", "all rights reserved", "版权所有", "版權所有", "icp备", "扫一扫", "二维码", "二維碼",
]  # fmt: skip
_PHRASE_LINE = r"(?im)^[ \t]*(?:" + "|".join(_PHRASES) + r")[ \t]*$\n?"
# What Project Gutenberg puts before and after a book.
_GUTENBERG_START = r"(?s)\A.{0,6000}?\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK [^\n]*\n+"
_GUTENBERG_END = r"(?s)\n*(?:End of (?:the |this )?Project Gutenberg[^\n]*\n+)?\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG EBOOK .*\z"
_CODE_LINE_END = r"(?m)[;{}()\[\]:,=+\\]$"


@dataclass
class RemovedLines:
    """What was taken out: documents touched, lines, bytes, and the most frequent lines."""

    documents: int = 0
    lines: int = 0
    bytes: int = 0
    examples: Counter[str] = field(default_factory=Counter)

    def add(self, other: "RemovedLines") -> None:
        """Add what was removed from another batch."""
        self.documents += other.documents
        self.lines += other.lines
        self.bytes += other.bytes
        self.examples.update(other.examples)
        if len(self.examples) > 100 * EXAMPLES:
            self.examples = Counter(dict(self.examples.most_common(10 * EXAMPLES)))


class LineCounts:
    """In how many documents each line stood, in bounded memory.

    Lossy counting (Manku and Motwani 2002): when there are too many lines, the rarest are forgotten, so that counts
    may be too low and are never too high.
    """

    def __init__(self, capacity: int = MOST_LINES_COUNTED) -> None:
        self.capacity = capacity
        self.documents = 0
        self.hashes = np.zeros(0, dtype=np.uint64)  # sorted
        self.counts = np.zeros(0, dtype=np.uint32)

    def add(self, documents: int, hashes: np.ndarray) -> None:
        """Count the lines of a batch: a hash for each document that a line stands in."""
        self.documents += documents
        new, times = np.unique(hashes, return_counts=True)
        place = np.searchsorted(self.hashes, new)
        known = np.zeros(len(new), dtype=bool)
        inside = place < len(self.hashes)
        known[inside] = self.hashes[place[inside]] == new[inside]
        self.counts[place[known]] += times[known].astype(np.uint32)
        self.hashes = np.insert(self.hashes, place[~known], new[~known])
        self.counts = np.insert(self.counts, place[~known], times[~known].astype(np.uint32))
        floor = 1
        while len(self.hashes) > self.capacity:
            often = self.counts > floor
            self.hashes, self.counts, floor = self.hashes[often], self.counts[often], floor + 1

    def recurring(self) -> np.ndarray:
        """The hashes, sorted, of lines that stand in so many documents that they belong to none."""
        enough = max(MIN_DOCUMENTS, min(self.documents * SHARE, ENOUGH_DOCUMENTS))
        return self.hashes[self.counts >= enough]


def line_hashes(frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the longer lines, each once a document, and the row each stands in; code and dropped rows have none.

    A line that stands in its document more than twice is a record or a refrain, and not counted.
    """
    lines = _long_lines(frame).select("row", pl.col("line").hash(7).alias("hash"))
    found = lines.group_by("row", "hash", maintain_order=True).len().filter(pl.col("len") <= 2)
    return found["row"].to_numpy(), found["hash"].to_numpy()


def remove(frame: pl.DataFrame, recurring: np.ndarray) -> tuple[pl.DataFrame, RemovedLines]:
    """Take well-known phrases and the `recurring` lines (hashes) out of the documents that are not dropped."""
    removed = RemovedLines()
    before = frame["text"]
    live = frame["dropped"].is_null()
    wrapped = live & before.str.contains("PROJECT GUTENBERG EBOOK", literal=True)
    texts = _replace(
        before, wrapped, lambda text: text.str.replace(_GUTENBERG_START, "").str.replace(_GUTENBERG_END, "")
    )
    phrased = live & texts.str.contains_any(_SIGNS, ascii_case_insensitive=True)
    for text in texts.filter(phrased).str.extract_all(_PHRASE_LINE).explode().drop_nulls():
        removed.examples[text.strip()[:200]] += 1
    removed.lines += sum(removed.examples.values())
    texts = _replace(texts, phrased, lambda text: text.str.replace_all(_PHRASE_LINE, ""))
    if len(recurring):
        texts = _without(frame.with_columns(texts.alias("text")), recurring, removed)
    texts = _replace(texts, texts != before, lambda text: text.str.strip_chars("\n"))
    changed = (texts != before).fill_null(False)
    removed.documents = int(changed.sum())
    removed.bytes = int(before.filter(changed).str.len_bytes().sum()) - int(texts.filter(changed).str.len_bytes().sum())
    return frame.with_columns(texts.alias("text")), removed


def _without(frame: pl.DataFrame, recurring: np.ndarray, removed: RemovedLines) -> pl.Series:
    marked = _long_lines(frame).filter(pl.col("line").hash(7).is_in(pl.Series(recurring).implode()))
    share = marked.group_by("row").agg(pl.col("line").str.len_bytes().sum().alias("bytes"))
    length = frame.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), pl.col("text").str.len_bytes().alias("length")
    )
    rows = share.join(length, on="row").filter(pl.col("bytes") <= pl.col("length") * MOST_OF_A_DOCUMENT)["row"].sort()
    if len(rows) == 0:
        return frame["text"]
    marked = marked.filter(pl.col("row").is_in(rows.implode()))
    removed.lines += len(marked)
    removed.examples.update(dict(marked["line"].str.head(200).value_counts(sort=True).head(10 * EXAMPLES).iter_rows()))
    unwanted = set(marked["line"])
    texts = [
        "\n".join(line for line in text.split("\n") if line.strip() not in unwanted)
        for text in frame["text"].gather(rows)
    ]
    return frame["text"].clone().scatter(rows, texts)


def _long_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """`row` and stripped `line` of the longer lines of documents that are neither dropped nor code."""
    text = pl.col("text")
    code = text.str.count_matches(_CODE_LINE_END) * 4 > text.str.count_matches("\n", literal=True) + 2
    return (
        frame.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), "text", "dropped")
        .filter(pl.col("dropped").is_null() & ~code)
        .select("row", text.str.split("\n").alias("line"))
        .explode("line")
        .filter(pl.col("line").str.len_bytes() >= MIN_LINE_BYTES)
        .with_columns(pl.col("line").str.strip_chars())
        .filter(pl.col("line").str.len_bytes() >= MIN_LINE_BYTES)
    )


def _replace(texts: pl.Series, mask: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    rows = mask.fill_null(False).arg_true()
    if len(rows) == 0:
        return texts
    return texts.clone().scatter(rows, change(texts.gather(rows)))
