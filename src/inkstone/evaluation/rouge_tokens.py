"""What ROUGE counts: words of English as the package rouge-score cuts them, single characters of Chinese.

| text | tokens |
|---|---|
| letters a to z and digits | their runs, in lower case: `U.S.` is two |
| scripts written without blanks (Chinese, Japanese, Thai, ...) | each character |
| other letters | with `letters="a-z"` they only part words, as in rouge-score: `naïve` is `na` and `ve`; with "all" they belong to words |
| all else | parts words |

Full-width letters and digits are read as the plain ones. Simplified and traditional characters stay different.
"""

import re
import string
import unicodedata
from functools import lru_cache
from typing import Any, Literal

import regex

from inkstone.errors import MissingExtraError
from inkstone.text.characters import SCRIPTS

Letters = Literal["a-z", "all"]


def _unspaced() -> str:
    """The letters, marks and digits of scripts without blanks, as they stand in a class of a regular expression."""
    characters = "々〇〡-〩〸-〻"  # Chinese, but in a block of punctuation
    for name, ranges, unspaced in SCRIPTS:
        for first, last in ranges if unspaced else ():
            if name == "han":
                characters += f"{chr(first)}-{chr(last)}"
            else:
                characters += "".join(
                    chr(c) for c in range(first, last + 1) if unicodedata.category(chr(c))[0] in "LMN"
                )
    return characters


_PLAIN = re.compile("[a-z0-9]+")
_UNSPACED = _unspaced()
_TOKEN = {
    "a-z": re.compile(rf"[a-z0-9]+|[{_UNSPACED}]"),
    "all": regex.compile(rf"[{_UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+", regex.V1),
}
_FULL_WIDTH = {ord(plain) + 0xFEE0: plain for plain in string.ascii_lowercase + string.digits}
_WIDE = re.compile("[ａ-ｚ０-９]")
_STEMMED_FROM = 4  # letters: shorter words stay as they are
_STEMS_KEPT = 1 << 16


def rouge_tokens(text: str, *, stem: bool = False, letters: Letters = "a-z") -> list[str]:
    """The tokens of a text in order. `stem` cuts English endings (Porter 1980).

    Raises MissingExtraError for `stem` without nltk, whose stemmer is the one of rouge-score.

    >>> rouge_tokens("The Inkstone's price: 3.5 kg")
    ['the', 'inkstone', 's', 'price', '3', '5', 'kg']
    >>> rouge_tokens("用BERT模型，２０２０年。"), rouge_tokens("naïve Чернила", letters="all")
    (['用', 'bert', '模', '型', '2020', '年'], ['naïve', 'чернила'])
    """
    lowered = text.lower()
    if lowered.isascii():
        tokens = _PLAIN.findall(lowered)
    else:
        tokens = _TOKEN[letters].findall(lowered.translate(_FULL_WIDTH) if _WIDE.search(lowered) else lowered)
    return [_stem(token) if len(token) >= _STEMMED_FROM else token for token in tokens] if stem else tokens


@lru_cache(_STEMS_KEPT)
def _stem(word: str) -> str:
    return _stemmer().stem(word)


@lru_cache(1)
def _stemmer() -> Any:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError:
        raise MissingExtraError("nltk", "rouge", "ROUGE over stems") from None
    return PorterStemmer()
