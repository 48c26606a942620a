"""Words, sentences and lemmas, English and Chinese as equal citizens.

Text is taken apart by script. A run of Chinese characters is segmented by rjieba (a dictionary and a hidden Markov model
for what it lacks); all else by the default word boundaries of Unicode (UAX 29), as the library `regex` implements
them. Punctuation, blanks, symbols and emoji are no words. The tables are large, and loaded when they are first asked for.
"""

from collections.abc import Iterable
from functools import cache

import regex

# A Chinese run, or what reaches from a letter or digit (with the underscores before it) to the next word boundary.
_WORD = regex.compile(r"(?V1w)(?P<han>\p{Han}+)|_*[\p{Alphabetic}\p{N}].*?\b")
_HAN = regex.compile(r"\p{Han}")
_WITHOUT_WORDS = {"ja"}  # languages in Chinese characters that rjieba does not know; they get single characters


def words(text: str, language: str | None = None) -> list[str]:
    """The words of a text in order, spelled as they stand there.

    `language` is an ISO 639-1 code or None; it matters only for "ja", whose Chinese characters are not given to rjieba.

    >>> words("Don't panic: U.S.A., 3.14 (e-mail)!")
    ["Don't", 'panic', 'U.S.A', '3.14', 'e', 'mail']
    >>> words("我来到北京清华大学，用iPhone。")
    ['我', '来到', '北京', '清华大学', '用', 'iPhone']
    """
    import rjieba

    found: list[str] = []
    segment = list if language in _WITHOUT_WORDS else rjieba.cut
    for match in _WORD.finditer(text):
        if match.lastgroup:
            found += segment(match[0])
        else:
            found.append(match[0])
    return found


def sentences(text: str, language: str | None = None) -> list[str]:
    """The sentences of a text in order, without the blanks around them.

    A blank line ends a sentence; in Chinese and Japanese, where lines are not broken by hand, every line end does.
    Without `language`, a text with a Chinese character in its first hundred is taken as Chinese, any other as English,
    whose abbreviations sentencex knows.

    >>> sentences("Mr. Smith left. He was late!")
    ['Mr. Smith left.', 'He was late!']
    >>> sentences("他说：“好。”然后走了。")
    ['他说：“好。”', '然后走了。']
    """
    import sentencex

    language = language or ("zh" if _HAN.search(text, 0, 100) else "en")
    blocks = text.splitlines() if language in ("zh", "ja") else [text]
    cut = (sentence.strip() for block in blocks for sentence in sentencex.segment(language, block))  # pyright: ignore[reportAttributeAccessIssue]
    return [sentence for sentence in cut if sentence]


def lemmas(words: Iterable[str], language: str | None = "en") -> list[str]:
    """The dictionary form of each word, from simplemma's tables; Chinese words, which do not inflect, stay as they are.

    Words are looked up one by one, without their context: `left` stays `left`. A language without a table changes nothing.

    >>> lemmas(["mice", "were", "running"], "en")
    ['mouse', 'be', 'run']
    """
    language = language or "en"
    return [lemma(word, language) for word in words] if _has_lemmas(language) else list(words)


@cache
def _has_lemmas(language: str) -> bool:
    import simplemma

    try:
        simplemma.lemmatize("a", language)
    except ValueError:
        return False
    return True


def lemma(word: str, language: str) -> str:
    """The dictionary form of one word; `language` must be one that simplemma knows."""
    import simplemma

    return simplemma.lemmatize(word, language)
