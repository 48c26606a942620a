"""What counts as a word when perplexity is given per word."""

import re

# Scripts written without spaces, in which each character stands for itself: Han, kana, bopomofo.
_WORD = re.compile(
    "[぀-ヿㄅ-ㄯ㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]|[^\\s぀-ヿㄅ-ㄯ㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]+"
)


def count_words(text: str) -> int:
    """Pieces between white space; each Han character, kana or bopomofo counts as one.

    For text with spaces this is the count of the published word-level perplexities (WikiText, Merity et al. 2016).

    >>> count_words("Ink, and a stone."), count_words("墨与砚台 2024年")
    (4, 6)
    """
    return sum(1 for _ in _WORD.finditer(text))
