"""What rjieba's dictionary says of Chinese text: the words that it finds there, and what part of speech each mostly is.

A tagger that learns from a few thousand sentences has not seen most words. The dictionary has; what it says is a hint, which the
tagger learns how far to trust. It was counted from text of other people, and says nothing of the words around.
"""

from collections.abc import Sequence
from functools import lru_cache

import regex
import rjieba

HAN = regex.compile(r"\p{Han}+")
# The tags of jieba's dictionary, after those of Peking University's corpus (n noun, v verb, nr person, ns place, uj 的 ...).
TAGS = (
    *("a", "ad", "ag", "an", "b", "c", "d", "df", "dg", "e", "eng", "f", "g", "h", "i", "j", "k", "l", "m", "mg", "mq", "n"),
    *("ng", "nr", "nrfg", "nrt", "ns", "nt", "nz", "o", "p", "q", "r", "rg", "rr", "rz", "s", "t", "tg", "u", "ud", "ug"),
    *("uj", "ul", "uv", "uz", "v", "vd", "vg", "vi", "vn", "vq", "x", "y", "yg", "z", "zg"),
)  # fmt: skip
NUMBER = {tag: number for number, tag in enumerate(TAGS, 1)}


def dictionary_positions(text: str) -> list[int]:
    """For each character its place in the word that rjieba's dictionary finds there.

    0 no Chinese, 1 first of a word, 2 inside, 3 last, 4 a word by itself.

    >>> dictionary_positions("a 北京大学在")
    [0, 0, 1, 2, 2, 3, 4]
    """
    positions = [0] * len(text)
    for run in HAN.finditer(text):
        at = run.start()
        for word in rjieba.cut(run[0]):
            stop = at + len(word)
            positions[at:stop] = [4] if len(word) == 1 else [1, *[2] * (len(word) - 2), 3]
            at = stop
    return positions


def dictionary_tag(word: str) -> str | None:
    """The tag of a word, or "+" and that of its last part for one that is several to the dictionary; None without Chinese in it.

    The last part most often says what the whole is.

    >>> dictionary_tag("参观"), dictionary_tag("软件公司"), dictionary_tag("ink")
    ('n', '+n', None)
    """
    parts = _parts(word)
    return None if not parts else parts[0] if len(parts) == 1 else f"+{parts[-1]}"


def dictionary_tags(words: Sequence[str]) -> list[int]:
    """The same as numbers: the place of the tag in `TAGS`, from 1, more by the number of tags where a "+" stands; else 0.

    >>> dictionary_tags(["参观", "软件公司", "ink"]) == [NUMBER["n"], len(TAGS) + NUMBER["n"], 0]
    True
    """
    found = []
    for word in words:
        parts = _parts(word)
        number = NUMBER.get(parts[-1], 0) if parts else 0
        found.append(number + len(TAGS) if number and len(parts) > 1 else number)
    return found


@lru_cache(maxsize=1 << 16)  # asked for at every place where a word stands
def _parts(word: str) -> tuple[str, ...]:
    """The tags of the dictionary's words in a word."""
    return tuple(tag for _, tag in rjieba.tag(word)) if HAN.search(word) else ()
