"""Encoding many texts quickly, with the very ids that encoding each of them whole would give.

Texts are cut where that is safe (`cutting.py`), so that a long one occupies all cores. Byte-level BPE runs on its twin
over characters, which needs no alphabet of bytes and starts from one symbol for a Chinese character, not three.
"""

import json
from array import array
from itertools import chain

import numpy as np
import tokenizers
from tokenizers import models

from inkstone.tokens.cutting import pieces
from inkstone.tokens.spelling import byte_level_bytes, byte_token

PIECE = 1 << 11  # characters: shared among cores, and short enough that the library is at its fastest


class BatchEncoder:
    """Encodes lists of texts with one tokenizer.

    `cuttable` says that the tokenizer's pre-tokens end at every cut of `cutting.py`.
    """

    def __init__(self, backend: tokenizers.Tokenizer, dtype: np.dtype, cuttable: bool):
        self.backend = (character_twin(backend) if cuttable else None) or backend
        self.dtype = dtype
        self.cuttable = cuttable

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """The ids of each text."""
        parts = [pieces(text, PIECE) if self.cuttable else [text] for text in texts]
        encodings = iter(self.backend.encode_batch_fast(list(chain.from_iterable(parts)), add_special_tokens=False))
        # An array of the machine's own integers takes a list in half the time that numpy needs.
        return [
            np.frombuffer(array("I", chain.from_iterable(next(encodings).ids for _ in of_text)), np.uint32).astype(
                self.dtype
            )
            for of_text in parts
        ]


def character_twin(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer | None:
    """A tokenizer with the same ids as a byte-level BPE, whose symbols are characters where the vocabulary has them.

    There is one where merges first build characters, byte after byte, and then join only whole characters, as
    `byte_bpe.py` learns them. None for any other tokenizer.
    """
    described = json.loads(backend.to_str())
    model, steps = described["model"], (described["pre_tokenizer"] or {}).get("pretokenizers", [])
    if model["type"] != "BPE" or described["normalizer"] or [step["type"] for step in steps] != ["Split", "ByteLevel"]:
        return None
    if steps[1]["add_prefix_space"] or steps[1]["use_regex"] or model["dropout"] or model["ignore_merges"]:
        return None
    spelled = {token: byte_level_bytes(token) for token in model["vocab"]}
    names = {token: _character_name(spelling) for token, spelling in spelled.items()}
    vocab = {names[token]: number for token, number in model["vocab"].items()}
    if len(vocab) != len(names):  # a text that looks like a byte's name
        return None
    merges = []
    joins_texts = False
    for left, right in model["merges"]:
        if _is_text(spelled[left]) and _is_text(spelled[right]):
            joins_texts = True
        elif joins_texts or len(spelled[right]) != 1 or not 0xC2 <= spelled[left][0] <= 0xF4:
            return None
        elif _is_text(spelled[left + right]):
            continue  # the twin starts from this character
        merges.append((names[left], names[right]))
    twin = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True))
    twin.pre_tokenizer = backend.pre_tokenizer[0]
    return twin


def _is_text(spelling: bytes) -> bool:
    try:
        spelling.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _character_name(spelling: bytes) -> str:
    return spelling.decode("utf-8") if _is_text(spelling) else "".join(byte_token(byte) for byte in spelling)
