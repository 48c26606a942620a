"""Where each token stands in its text, in characters, so that what is said of tokens can be said of the text itself.

A token may begin or end inside a character, since byte-level vocabularies spell a rare one in several tokens: each of these
then stands where the whole character does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from inkstone.tokens.tokenizer import Tokenizer, whole_characters


@dataclass(frozen=True)
class PlacedTokens:
    """The tokens of a text; token number i spells the characters starts[i] to stops[i], the last one not included."""

    ids: Int[np.ndarray, " t"]
    starts: Int[np.ndarray, " t"]
    stops: Int[np.ndarray, " t"]


def placed_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[PlacedTokens]:
    """The tokens of each text, without special ones, and their places.

    Of our tokenizers the places follow from the bytes that the tokens spell; of others, which may leave characters out or
    change them, from what the `tokenizers` library remembers of it.

    A lone surrogate counts as the one character U+FFFD that it becomes.
    """
    whole = [whole_characters(text)[0] for text in texts]
    spelling = tokenizer.spelling if tokenizer.kind != "foreign" else None
    if spelling is None:
        return [_remembered(encoding) for encoding in tokenizer.backend.encode_batch(whole, add_special_tokens=False)]
    lengths = np.array([len(spelled) for spelled in spelling])
    return [
        _spelled(ids.astype(np.int64), lengths[ids], text.encode())
        for ids, text in zip(tokenizer.encode_batch(whole), whole, strict=True)
    ]


def _spelled(ids: Int[np.ndarray, " t"], lengths: Int[np.ndarray, " t"], text: bytes) -> PlacedTokens:
    begins = (np.frombuffer(text, np.uint8) & 0xC0) != 0x80
    character = np.cumsum(begins) - 1  # the number of the one that each byte belongs to
    ends = np.cumsum(lengths)
    assert int(lengths.sum()) == len(text), "the tokens do not spell the text"
    return PlacedTokens(ids, character[ends - lengths], character[ends - 1] + 1)


def _remembered(encoding) -> PlacedTokens:
    places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    return PlacedTokens(np.array(encoding.ids, dtype=np.int64), places[:, 0], places[:, 1])
