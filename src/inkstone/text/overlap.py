"""What of a text stands in a question, too: words, and pairs of Chinese characters.

The exact-match feature of Chen et al. 2017 (DrQA, section 3.2): without it a model must learn from examples alone that two
tokens are the same, which small data do not teach.
"""

from collections.abc import Iterator

import regex

from inkstone.text.stop_words import is_stop_word

WORD = regex.compile(r"(?P<han>\p{Han}+)|[\p{L}\p{M}\p{N}--\p{Han}]+", regex.V1)


def content_words(text: str) -> set[str]:
    """The words of a text in lower case without function words, and its pairs of Chinese characters.

    >>> sorted(content_words("Who made the inkstones of 端溪砚?"))
    ['inkstones', 'made', '溪砚', '端溪']
    """
    return {word for word, _, _ in _units(text)}


def shared_characters(text: str, words: set[str]) -> bytearray:
    """For each character of the text 1 where it belongs to one of these `content_words`, else 0.

    >>> list(shared_characters("端溪 has Ink", content_words("ink of 端溪砚")))
    [1, 1, 0, 0, 0, 0, 0, 1, 1, 1]
    """
    marks = bytearray(len(text))
    for word, start, stop in _units(text):
        if word in words:
            marks[start:stop] = b"\1" * (stop - start)
    return marks


def _units(text: str) -> Iterator[tuple[str, int, int]]:
    """Each word and each pair of Chinese characters (one alone, where a run has one): (word, start, stop)."""
    for match in WORD.finditer(text):
        start, stop = match.span()
        if match["han"] is None:
            word = match[0].lower()
            if not is_stop_word(word):
                yield word, start, stop
        elif stop - start == 1:
            yield match[0], start, stop
        else:
            for at in range(start, stop - 1):
                yield text[at : at + 2], at, at + 2
