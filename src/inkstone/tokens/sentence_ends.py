"""Where a sentence or a line ends, told from tokens alone and from none that comes later.

A language model may ask after each token whether a sentence ended there, so the answer must not depend on what follows.
Hence it is a guess: a full stop ends a sentence unless a figure, an initial, or an abbreviation such as "Mr" stands before it.
A token that holds the end of a Chinese sentence and the first character of the next belongs to the one it ends.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from inkstone.tokens.tokenizer import Tokenizer
from inkstone.tokens.whole_words import spelled_pieces

Unit = Literal["sentence", "line", "window"]  # "window": nothing ends but documents

ENDS, STOP, HOLDS, DOCUMENT, ENDED = 1, 2, 4, 8, 16  # bits of a mark; the last one for the token before
LINE_ENDS = "\n\r\u2028\u2029"
SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "…", "‽", "।", "؟", "۔", "።")
CLOSING = " \t\"'”’»)]）］」』》"  # may stand after what ends a sentence
ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "messrs",
        "vs",
        "etc",
        "cf",
        "al",
        "no",
        "vol",
        "pp",
        "fig",
        "inc",
        "co",
        "corp",
        "ltd",
        "e.g",
        "i.e",
    ]
)


def marks_of(tokenizer: Tokenizer, unit: Unit, size: int) -> UInt8[Tensor, " size"]:
    """What each of the first `size` ids means for the end of a sentence or line."""
    # On the CPU whatever the default device: a model laid out on "meta" has its weights read later, but never these.
    marks = torch.zeros(size, dtype=torch.uint8, device="cpu")
    if unit != "window":
        for number, spelled in enumerate(spelled_pieces(tokenizer)[:size]):
            marks[number] = _mark(spelled.decode("utf-8", "ignore"), unit)
    for number in (tokenizer.end, *tokenizer.begin):
        if number < size:
            marks[number] = ENDS | DOCUMENT
    return marks


def openings(
    ids: Int[Tensor, "b t"], marks: UInt8[Tensor, " v"], before: UInt8[Tensor, " b"] | None = None
) -> tuple[Bool[Tensor, "b t"], UInt8[Tensor, " b"]]:
    """Whether the token after each position is the first of a sentence, and what to give as `before` to go on from here.

    Of several ends in a row, such as a full stop and the line end after it, the first counts; the end of a document always
    does.
    """
    found = marks[ids]
    before = marks.new_zeros(len(ids)) if before is None else before
    previous = torch.cat((before[:, None], found[:, :-1]), dim=1)
    held = (found & STOP > 0) & (previous & HOLDS > 0)
    ends = (found & ENDS > 0) & ~held
    ended = torch.cat((before[:, None] & ENDED > 0, ends[:, :-1]), dim=1)
    return (found & DOCUMENT > 0) | (ends & ~ended), found[:, -1] | ends[:, -1] * ENDED


def _mark(text: str, unit: Unit) -> int:
    """The bits of a token that is spelled so.

    >>> [_mark(text, "sentence") for text in (".", '!"', ".\\n", "。他", " U", " Mr", "9", " cat", ".com")]
    [3, 1, 1, 1, 4, 4, 4, 0, 0]
    >>> [_mark(text, "line") for text in (".", ".\\n", " Mr")]
    [0, 1, 0]
    """
    if any(end in text for end in LINE_ENDS):
        return ENDS
    if unit == "line":
        return 0
    said = text.rstrip(CLOSING)
    if said.endswith(SENTENCE_ENDS) or any(end in said for end in "。！？"):
        return ENDS | STOP if said.strip() == "." else ENDS
    word = text.strip()
    initial = len(word) == 1 and word.isalpha() and (text != word or word.isupper()) and word.isascii()
    return HOLDS if word[-1:].isdigit() or initial or word.lower() in ABBREVIATIONS else 0
