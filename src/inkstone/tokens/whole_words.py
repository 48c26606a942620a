"""Which tokens belong to one word: what whole-word masking hides together (Devlin et al. 2019, release of May 2019).

A token goes on with the word before it where its first byte lies inside a word, or inside a character that was cut
into bytes. Words are those of `text/words.py`, so Chinese words are kept whole too (Cui et al. 2021).
"""

import numpy as np
from jaxtyping import Bool, Int

from inkstone.text.words import words
from inkstone.tokens.tokenizer import Tokenizer

_BREAK = b"\n"  # what a token that is no text counts as: no word reaches across it


def spelled_pieces(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of each id as it stands in a text. Where a tokenizer of others leaves blanks out, they are put back."""
    if tokenizer.spelling is not None:
        pieces = list(tokenizer.spelling)
    else:
        pieces = [_with_blank(tokenizer.token_text(number)) for number in range(tokenizer.vocab_size)]
    for number in tokenizer.special_ids:
        pieces[number] = _BREAK
    return pieces


def continues_word(ids: Int[np.ndarray, "b t"], pieces: list[bytes]) -> Bool[np.ndarray, "b t"]:
    """Whether each token belongs to the same word as the token before it in its row.

    >>> pieces = ["我".encode(), "清".encode(), b"\\xe5\\x8d", b"\\x8e", " 大".encode(), " pa".encode(), b"nic", b"!"]
    >>> continues_word(np.array([[0, 1, 2, 3, 4, 5, 6, 7]]), pieces)[0].astype(int)  # 清华 is a word, panic another
    array([0, 0, 1, 1, 0, 0, 1, 0])
    """
    continues = np.zeros(ids.shape, dtype=bool)
    for row, numbers in enumerate(ids.tolist()):
        parts = [pieces[number] if number < len(pieces) else _BREAK for number in numbers]
        first = np.cumsum([0, *map(len, parts[:-1])])
        continues[row] = _inside(b"".join([*parts, _BREAK]))[first]
    return continues


def _inside(text: bytes) -> Bool[np.ndarray, " bytes"]:
    """For each byte, whether a word or a character began before it and has not ended."""
    inside = (np.frombuffer(text, dtype=np.uint8) & 0xC0) == 0x80
    # Bytes that are no character by themselves each become one code point, so that places can be counted back.
    characters = text.decode("utf-8", "surrogateescape")
    points = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    widths = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    widths[(points >= 0xDC80) & (points <= 0xDCFF)] = 1
    places = np.concatenate(([0], np.cumsum(widths)))
    at = 0
    for word in words(characters):
        begin = characters.index(word, at)
        at = begin + len(word)
        inside[places[begin] + 1 : places[at]] = True
    return inside


def _with_blank(token: str) -> bytes:
    """A WordPiece or SentencePiece token: "##ing" goes on with a word, "▁the" and "the" begin one, a Chinese character
    stands without blanks.
    """
    if token.startswith("##"):
        return token[2:].encode()
    chinese = token[:1] >= "\u2e80"
    return (token if chinese else token.replace("▁", " ") if "▁" in token else f" {token}").encode("utf-8", "replace")
