"""The sets of word sequences by which texts are compared, and their MinHash signatures.

A unit is a word in scripts with spaces and a character in Chinese, Japanese kana, Thai and the like; a shingle is five
units in a row. Case, punctuation and blanks make no difference. The hashes are the same on every machine.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import polars as pl
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] (compiled, without stubs)

from inkstone.text.characters import CONTINUATION, SPACE, UNSPACED, WORD, Joined, kinds

PIECE = 1 << 17  # bytes looked at together
UNITS = 5  # in a shingle, as in Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better"
PERMUTATIONS = 128  # a multiple of the bands in `duplicates`
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible modulo 2^64
_SEED = 20


def shingles(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the shingles of every text, flat, and how many each text has (those of few units have none)."""
    joined = Joined.of(texts.str.to_lowercase())
    counts = np.zeros(len(texts), dtype=np.int64)
    found = []
    for position, hashes in _units(joined):
        if len(hashes) < UNITS:
            continue
        owner = np.searchsorted(joined.starts, position, side="right") - 1
        whole = owner[UNITS - 1 :] == owner[: 1 - UNITS]
        sums = np.zeros(len(hashes) - UNITS + 1, dtype=np.uint64)
        for step in range(UNITS):
            sums *= _BASE
            sums += hashes[step : len(hashes) - UNITS + 1 + step]
        found.append(_mixed(sums[whole]))
        owners = owner[: 1 - UNITS][whole]
        if len(owners):
            counts[owners[0] : owners[-1] + 1] += np.bincount(owners - owners[0])
    return np.concatenate(found) if found else np.zeros(0, dtype=np.uint64), counts


def signatures(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """MinHash signatures, uint32 (texts, PERMUTATIONS), and whether each text has shingles enough to be compared."""
    flat, counts = shingles(texts)
    ends = np.zeros(len(counts) + 1, dtype=np.uint64)
    np.cumsum(counts, out=ends[1:])
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, ends, PERMUTATIONS, _SEED)
    rows = np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(counts), PERMUTATIONS)
    return rows, counts > 0


def _units(joined: Joined) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Piece by piece: where each unit begins and its hash. The last units of a piece come again in the next one."""
    data = joined.data
    powers, inverses = _powers(2 * PIECE)
    begin = 0
    while begin < len(data):
        end = min(begin + PIECE, len(data))
        kind = kinds(data[begin : min(end + 1, len(data))])[: end - begin]
        if end < len(data):
            blanks = np.flatnonzero(kind == SPACE)
            late = len(blanks) and blanks[-1] >= PIECE // 2
            cut = int(blanks[-1]) + 1 if late else int(np.flatnonzero(kind != CONTINUATION)[-1])
            end, kind = begin + cut, kind[:cut]
        heads = np.flatnonzero(kind != CONTINUATION)
        of_head = kind[heads]
        word, alone = WORD[of_head], UNSPACED[of_head]
        first = alone | word & ~np.concatenate(([False], word[:-1]))
        last = alone | word & ~np.concatenate((word[1:], [False]))
        starts = heads[first]
        stops = np.append(heads[1:], end - begin)[last]
        prefix = np.zeros(end - begin + 1, dtype=np.uint64)
        np.cumsum(data[begin:end] * powers[: end - begin], out=prefix[1:])
        hashes = _mixed((prefix[stops] - prefix[starts]) * inverses[starts])
        yield starts + begin, hashes
        if end == len(data):
            return
        # A shingle that spans two pieces is found in the second, which begins four units earlier.
        overlap = int(starts[1 - UNITS]) if len(starts) >= UNITS else 0
        begin = begin + overlap if overlap else end


@cache
def _powers(length: int) -> tuple[np.ndarray, np.ndarray]:
    """The powers of the base and of its inverse, modulo 2^64."""
    inverse = np.uint64(pow(int(_BASE), -1, 1 << 64))
    powers = np.full(length, _BASE, dtype=np.uint64)
    inverses = np.full(length, inverse, dtype=np.uint64)
    powers[0] = inverses[0] = 1
    return np.cumprod(powers), np.cumprod(inverses)


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """Spread every bit over all others (the finaliser of SplitMix64, Steele et al. 2014)."""
    hashes = hashes ^ (hashes >> np.uint64(30))
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes
