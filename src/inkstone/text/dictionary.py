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


def dictionary_tags(words: Sequence[str]) -> list[int]:
    """For each word the number of its tag in `TAGS`, from 1; more by the number of tags for one that is several to the dictionary.

    Such a word has the tag of its last part, which in Chinese most often is what the whole is. 0 where no Chinese is in it.

    >>> told = dictionary_tags(["参观", "ink", "软件公司"])
    >>> TAGS[told[0] - 1], told[1], TAGS[told[2] - len(TAGS) - 1]
    ('n', 0, 'n')
    """
    return [_tag_of(word) for word in words]


@lru_cache(maxsize=1 << 16)
def _tag_of(word: str) -> int:
    if not HAN.search(word):
        return 0
    parts = rjieba.tag(word)
    number = NUMBER.get(parts[-1][1], 0)
    return number + len(TAGS) if number and len(parts) > 1 else number
