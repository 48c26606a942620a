"""Counting n-grams in arrays: every n-gram of a text, sorted, once, with how often it came.

The n-grams of an order are the rows of a level. An n-gram w₁ … wₙ is one integer,

    key = row of w₁ … wₙ₋₁ in the level below · vocabulary + wₙ,

so that any order fits into 64 bits, keys in rising order are n-grams in lexicographic order, and the words that follow a
context are neighbours. The lowest level holds every word of the vocabulary, and a word's row is its id.

A token is looked at once for each order. The text is taken block by block and the sorted blocks are merged, so the memory
beside the text is that of the n-grams found: about 16 bytes each, and twice that for the order in the making.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inkstone.errors import TextError

BLOCK = 1 << 22  # tokens sorted at once


@dataclass
class Level:
    """The n-grams of one order, sorted."""

    keys: np.ndarray  # int64, see above
    suffix: np.ndarray  # row of w₂ … wₙ in the level below
    count: np.ndarray  # how often w₁ … wₙ came
    opens: np.ndarray  # bool: w₁ is the begin token, so nothing can stand before


def stream_of(documents: list[np.ndarray], begin: int, end: int) -> np.ndarray:
    """All documents in one int32 array: begin t₁ … tₙ end begin …; where begin and end are one token, it stands once."""
    between = np.array([end] if begin == end else [end, begin], dtype=np.int32)
    parts: list[np.ndarray] = [np.array([begin], dtype=np.int32)]
    for document in documents:
        parts += (document, between)
    stream = np.concatenate(parts, dtype=np.int32, casting="unsafe")
    return stream if begin == end else stream[:-1]


def count_ngrams(
    stream: np.ndarray,
    order: int,
    vocab_size: int,
    begin: int,
    end: int,
    block: int = BLOCK,
    report: Callable[[str], None] = lambda text: None,
) -> list[Level]:
    """The levels 1 … order of a text as `stream_of` lays it out. No n-gram reaches across the end of a document.

    Raises TextError for a text without tokens, or with ids outside the vocabulary.
    """
    if len(stream) < 2:
        raise TextError("there is no text to count n-grams in")
    if int(stream.min()) < 0 or int(stream.max()) >= vocab_size:
        raise TextError(f"the text has ids from {stream.min()} to {stream.max()}; the vocabulary has {vocab_size}")
    predicted = np.ones(len(stream), dtype=bool)  # a begin token is given, never predicted
    predicted[0] = False
    if begin != end:
        predicted &= stream != begin
    boundary = (stream == begin) | (stream == end)
    words = np.arange(vocab_size)
    counts = np.bincount(stream[predicted], minlength=vocab_size)
    levels = [Level(words, np.zeros(vocab_size, np.int32), counts, words == begin)]
    # rows[i]: the row of the n-gram that ends at token i, −1 where there is none.
    below = stream if len(stream) < 1 << 31 else stream.astype(np.int64)
    for n in range(2, order + 1):
        report(f"counting {n}-grams")
        whole = (below >= 0) & predicted  # n − 1 tokens lie inside the document; then n do, if one more does
        whole[1:] &= below[:-1] >= 0
        if n > 2:
            whole[1:] &= ~boundary[:-1]
        rows = np.full_like(below, -1)
        keys, count = _count_level(stream, below, rows, whole, vocab_size, block)
        suffix = np.zeros(len(keys), dtype=below.dtype)
        suffix[rows[whole]] = below[whole]
        levels.append(Level(keys, suffix, count, levels[-1].opens[keys // vocab_size]))
        below = rows
    return levels


def _count_level(
    stream: np.ndarray, below: np.ndarray, rows: np.ndarray, whole: np.ndarray, vocab_size: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted keys and counts of one order; `rows` is filled where `whole`."""
    parts = []
    for start in range(0, len(stream), block):
        at = start + np.flatnonzero(whole[start : start + block])
        keys = below[at - 1].astype(np.int64)
        keys *= vocab_size
        keys += stream[at]
        keys, inverse, count = np.unique(keys, return_inverse=True, return_counts=True)
        rows[at] = inverse
        parts.append((keys, count.astype(np.int32), at))
    if len(parts) == 1:
        return parts[0][:2]
    merged = np.unique(np.concatenate([keys for keys, _, _ in parts]))
    counts = np.zeros(len(merged), dtype=np.int32)
    while parts:
        keys, count, at = parts.pop()
        moved = np.searchsorted(merged, keys)
        counts[moved] += count
        rows[at] = moved[rows[at]]
    return merged, counts


def find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of each wanted key, −1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    # In rising order one search begins where the last one ended, in memory that is still in the cache.
    order = np.argsort(wanted)
    rising = wanted[order]
    rows = np.minimum(np.searchsorted(keys, rising), len(keys) - 1)
    rows[keys[rows] != rising] = -1
    found = np.empty_like(rows)
    found[order] = rows
    return found
