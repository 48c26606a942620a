"""What kinds of characters a text is made of, counted for a whole batch at once.

The kind of a character is read off the first two bytes of its UTF-8 form: exact below U+0800, by blocks of 64 code
points up to U+FFFF and of 4,096 above. Scripts begin and end on such blocks closely enough for counting, and one table
look-up a byte is many times faster than a regular expression for each kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

PIECE = 1 << 16  # bytes looked at together: the arrays for them stay in the processor's cache

# The scripts: name, code points (first, last), and whether words are written without spaces between them.
SCRIPTS: tuple[tuple[str, tuple[tuple[int, int], ...], bool], ...] = (
    ("latin", ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x2AF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)), False),
    ("greek", ((0x370, 0x3FF), (0x1F00, 0x1FFF)), False),
    ("cyrillic", ((0x400, 0x52F), (0x1C80, 0x1C8F), (0xA640, 0xA69F)), False),
    ("armenian", ((0x530, 0x58F),), False),
    ("hebrew", ((0x590, 0x5FF),), False),
    ("arabic", ((0x600, 0x6FF), (0x750, 0x77F), (0xFB40, 0xFDFF), (0xFE80, 0xFEFF)), False),
    ("devanagari", ((0x900, 0x97F),), False),
    ("bengali", ((0x980, 0x9FF),), False),
    ("gurmukhi", ((0xA00, 0xA7F),), False),
    ("gujarati", ((0xA80, 0xAFF),), False),
    ("oriya", ((0xB00, 0xB7F),), False),
    ("tamil", ((0xB80, 0xBFF),), False),
    ("telugu", ((0xC00, 0xC7F),), False),
    ("kannada", ((0xC80, 0xCFF),), False),
    ("malayalam", ((0xD00, 0xD7F),), False),
    ("sinhala", ((0xD80, 0xDFF),), False),
    ("thai", ((0xE00, 0xE7F),), True),
    ("lao", ((0xE80, 0xEFF),), True),
    ("tibetan", ((0xF00, 0xFFF),), True),
    ("burmese", ((0x1000, 0x107F),), True),
    ("georgian", ((0x1080, 0x10FF), (0x1C80, 0x1CBF), (0x2D00, 0x2D3F)), False),
    ("hangul", ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7FF)), False),
    ("ethiopic", ((0x1200, 0x139F),), False),
    ("khmer", ((0x1780, 0x17FF),), True),
    ("mongolian", ((0x1800, 0x18AF),), False),
    ("kana", ((0x3040, 0x30FF), (0x31C0, 0x31FF), (0xFF80, 0xFFBF)), True),
    ("han", ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)), True),
    ("other letters", ((0x2B0, 0x36F), (0x700, 0x74F), (0x780, 0x8FF), (0x13A0, 0x177F), (0x18B0, 0x1C7F)), False),
)
SCRIPT_NAMES = tuple(name for name, _, _ in SCRIPTS)
DENSE = ("han", "kana", "hangul")  # a character of these says about as much as three Latin letters
DIGIT, SPACE, PUNCTUATION, SYMBOL, CONTROL, CONTINUATION = range(len(SCRIPTS), len(SCRIPTS) + 6)
KINDS = (*SCRIPT_NAMES, "digit", "space", "punctuation", "symbol", "control")  # a continuation byte is no character
UNSPACED = np.zeros(CONTINUATION + 1, dtype=bool)
UNSPACED[[number for number, (_, _, unspaced) in enumerate(SCRIPTS) if unspaced]] = True
WORD = np.zeros(CONTINUATION + 1, dtype=bool)  # kinds that make up words in scripts with spaces
WORD[[number for number, (_, _, unspaced) in enumerate(SCRIPTS) if not unspaced]] = True
WORD[DIGIT] = True
PUNCTUATION_BLOCKS = ((0x2000, 0x206F), (0x2E00, 0x2E7F), (0x3000, 0x303F), (0xFE10, 0xFE6F), (0xFF00, 0xFF7F))


def _kind(code: int) -> int:
    """The kind of a code point, or of the block that begins with it."""
    if code < 0x80:
        character = chr(code)
        if character.isalpha():
            return 0
        if character.isdigit():
            return DIGIT
        if character.isspace():
            return SPACE
        if code < 0x20 or code == 0x7F:
            return CONTROL
        return PUNCTUATION if character in "!\"'(),-.:;?" else SYMBOL
    if code < 0xA0:
        return CONTROL
    if code in (0xA0, 0x85):
        return SPACE
    if code in (0xAA, 0xB5, 0xBA):
        return 0
    if code in (0xA1, 0xA7, 0xAB, 0xB6, 0xB7, 0xBB, 0xBF):
        return PUNCTUATION
    if code in (0xD7, 0xF7) or code < 0xC0:
        return SYMBOL
    for number, (_, ranges, _) in enumerate(SCRIPTS):
        if any(first <= code <= last for first, last in ranges):
            return number
    return PUNCTUATION if any(first <= code <= last for first, last in PUNCTUATION_BLOCKS) else SYMBOL


@cache
def _table() -> np.ndarray:
    """The kind for every pair of a byte and the one after it."""
    table = np.full((256, 256), CONTINUATION, dtype=np.uint8)
    for byte in range(0x80):
        table[byte] = _kind(byte)
    for byte in range(0xC2, 0xF5):
        for second in range(0x80, 0xC0):
            if byte < 0xE0:
                code = (byte & 0x1F) << 6 | second & 0x3F
            elif byte < 0xF0:
                code = (byte & 0x0F) << 12 | (second & 0x3F) << 6
            else:
                code = (byte & 0x07) << 18 | (second & 0x3F) << 12
            table[byte, second] = _kind(code)
    return table.ravel()


@dataclass(frozen=True)
class Joined:
    """The texts of a batch as one array of UTF-8 bytes, a line end after each."""

    data: np.ndarray  # uint8
    starts: np.ndarray  # int64: text number i is data[starts[i] : starts[i + 1] - 1]

    @classmethod
    def of(cls, texts: pl.Series) -> "Joined":
        """Join a column of texts."""
        encoded = texts.cast(pl.Binary).to_list()
        encoded.append(b"")
        starts = np.zeros(len(encoded), dtype=np.int64)
        np.cumsum([len(text) + 1 for text in encoded[:-1]], out=starts[1:])
        return cls(np.frombuffer(b"\n".join(encoded), dtype=np.uint8), starts)


def kinds(data: np.ndarray) -> np.ndarray:
    """The kind of the character that begins at each byte, CONTINUATION where none does."""
    pairs = data.astype(np.uint16)
    pairs <<= 8
    pairs[:-1] |= data[1:]
    return _table()[pairs]


def count_kinds(texts: pl.Series) -> pl.DataFrame:
    """How many characters of each kind every text has: one column a kind, and `words`, runs between blanks."""
    joined = Joined.of(texts)
    n_kinds = CONTINUATION + 1
    counts = np.zeros((len(texts), n_kinds), dtype=np.int64)
    words = np.zeros(len(texts), dtype=np.int64)
    for first, last, lengths, data in _pieces(joined):
        rows = np.repeat(np.arange(0, (last - first) * n_kinds, n_kinds), lengths)
        kind = kinds(data)
        heads = np.flatnonzero(kind != CONTINUATION)
        blank = kind[heads] == SPACE
        word_ends = heads[:-1][blank[1:] & ~blank[:-1]]
        word_ends = word_ends[word_ends < len(rows)]
        kind = kind[: len(rows)]
        words[first:last] += np.bincount(rows[word_ends] // n_kinds, minlength=last - first)
        rows += kind
        counts[first:last] += np.bincount(rows, minlength=(last - first) * n_kinds).reshape(-1, n_kinds)
    counts[:, SPACE] -= 1  # the line end that joins
    return pl.DataFrame({name: counts[:, number] for number, name in enumerate(KINDS)} | {"words": words})


def _pieces(joined: Joined) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Pieces of the bytes: the texts in it (first, last + 1), how many bytes each has there, the bytes and one character more."""
    for begin in range(0, len(joined.data), PIECE):
        end = min(begin + PIECE, len(joined.data))
        first = int(np.searchsorted(joined.starts, begin, side="right")) - 1
        last = int(np.searchsorted(joined.starts, end, side="left"))
        edges = np.clip(joined.starts[first : last + 1], begin, end)
        yield first, last, np.diff(edges), joined.data[begin : end + 4]
