"""When each word of a text is said, in seconds, by the best path of CTC that spells the text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.inference.ctc_alignment import align
from inkstone.text.spoken import words_of

LOOSE = "surrogateescape"  # each byte that is part of no character stays one character, so that places can be counted


def word_times(
    log_probabilities: Float[np.ndarray, "s v"],
    ids: Sequence[int],
    tokenizer: Any,
    a_state: float,
    before: float,
    seconds: float,
) -> list[dict[str, Any]]:
    """Each word with its start and end. A state lasts `a_state` seconds; `before` the sound, `seconds` long, so much was put.

    CTC says a token in a state or two, somewhere in the sound that it stands for: the first and the last token of a word tell where it is
    to about a tenth of a second. Empty where no path spells the text.
    """
    found = align(log_probabilities, ids, tokenizer.end) if len(ids) else None
    if found is None:
        return []
    spans, _ = found
    times = np.clip(spans * a_state - before, 0.0, seconds)
    words = []
    for word, first, last in spelled_words(ids, tokenizer):
        start, end = float(times[first, 0]), float(times[last, 1])
        words.append({"word": word, "start": round(start, 3), "end": round(end, 3)})
    return words


def spelled_words(ids: Sequence[int], tokenizer: Any) -> list[tuple[str, int, int]]:
    """The words that tokens spell, without their blanks, each with the numbers of its first and its last token."""
    pieces = [tokenizer.spelling[number] for number in ids]
    ends = np.cumsum([len(piece) for piece in pieces])
    words, at = [], 0
    for word in words_of(b"".join(pieces).decode("utf-8", LOOSE)):
        size = len(word.encode("utf-8", LOOSE))
        begin = at + size - len(word.lstrip().encode("utf-8", LOOSE))
        first, last = (int(np.searchsorted(ends, place, side="right")) for place in (begin, at + size - 1))
        if word.strip() and last < len(pieces):
            words.append((word.strip().encode("utf-8", LOOSE).decode("utf-8", "replace"), first, last))
        at += size
    return words
