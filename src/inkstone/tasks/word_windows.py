"""Words as inputs of a model that reads tokens: which tokens each word becomes, and a long sentence in several windows.

Each word is encoded by itself, with the blank before it where the tokenizer's pieces carry one (" ink" of GPT-2), so that no token
reaches from one word into the next: `units` holds the first token of each. A sentence that does not fit is read in windows
that end between words; every word gets its label in one of them, and each window but the first begins with words of the one
before, for context alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inkstone.tasks.framing import Frame
from inkstone.tokens.tokenizer import Tokenizer

CONTEXT = 0.25  # of a window may be words of the one before
PROBES = ("a", "the", "of", "in", "to", "ink")


@dataclass(frozen=True)
class Window:
    """The input of a stretch of words, first to stop."""

    ids: np.ndarray
    units: np.ndarray  # the first token of each word
    first: int
    stop: int
    cut: bool = False  # whether the end of one of its words is left out


def pieces_carry_blanks(tokenizer: Tokenizer) -> bool:
    """Whether a word after a blank is spelled with other tokens than without one, the blank a part of them.

    Of a tokenizer of characters, where the blank is a token of its own, it is not.
    """
    if tokenizer.kind in ("word", "character"):
        return tokenizer.kind == "word"
    apart, alone = (tokenizer.encode_batch([lead + probe for probe in PROBES]) for lead in (" ", ""))
    return any(len(a) <= len(b) and a.tolist() != b.tolist() for a, b in zip(apart, alone, strict=True))


def encode_words(frame: Frame, sentences: Sequence[Sequence[str]]) -> list[list[np.ndarray]]:
    """The tokens of each word of each sentence, at least one; words may begin with a blank.

    A word that the tokenizer spells with nothing at all, as some do with characters they leave out, is the end token.
    """
    carry = pieces_carry_blanks(frame.tokenizer)
    number: dict[str, int] = {}
    for words in sentences:
        for word in words:
            number.setdefault(word if carry else word.lstrip(" "), len(number))
    spelled = [ids.astype(np.int64) for ids in frame.tokenizer.encode_batch(list(number))]
    nothing = np.array([frame.tokenizer.end], dtype=np.int64)
    spelled = [ids if len(ids) else nothing for ids in spelled]
    return [[spelled[number[word if carry else word.lstrip(" ")]] for word in words] for words in sentences]


def windows(frame: Frame, words: Sequence[np.ndarray]) -> list[Window]:
    """The windows of a sentence, given as the tokens of its words. A word that is longer than a window is cut at its end."""
    room = frame.room
    lengths = np.array([len(ids) for ids in words])
    words = [ids[:room] for ids in words]
    sizes = np.array([len(ids) for ids in words])
    found, first = [], 0
    while first < len(words):
        begin = first  # of what is read; the words from `first` on are labelled
        if first:
            before = np.cumsum(sizes[first - 1 :: -1])
            begin -= int(np.searchsorted(before, min(CONTEXT * room, room - sizes[first]), side="right"))
        left = room - int(sizes[begin:first].sum())
        stop = first + int(np.searchsorted(np.cumsum(sizes[first:]), left, side="right"))
        ids = np.concatenate([frame.before, *words[begin:stop], frame.after]).astype(np.int64)
        starts = len(frame.before) + np.cumsum(sizes[begin:stop]) - sizes[begin:stop]
        found.append(Window(ids, starts[first - begin :], first, stop, bool((lengths[first:stop] > room).any())))
        first = stop
    return found
