"""Tokenizers as llguidance takes them: the bytes of each token, which tokens are no text, and how a text is cut."""

import importlib
import json
from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from inkstone.errors import MissingExtraError
from inkstone.inference.schema_check import ConstraintError
from inkstone.tokens.spelling import BYTE_TOKEN
from inkstone.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLTokenizer

BLANK = "▁"


def llguidance() -> Any:
    """The library. Raises MissingExtraError where it is not installed."""
    try:
        return importlib.import_module("llguidance")
    except ImportError:
        raise MissingExtraError("llguidance", "constrained", "constrained output") from None


class _Vocabulary:
    """What llguidance asks of a tokenizer: the bytes of each token, and which are no text."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokens: list[bytes], end: int, special: Collection[int], encode: Callable[[bytes], list[int]]):
        self.tokens, self.eos_token_id, self.special_token_ids = tokens, end, sorted(special)
        self.encode = encode

    def __call__(self, text: str | bytes) -> list[int]:
        return self.encode(text.encode() if isinstance(text, str) else text)


@cache
def of_bytes() -> "LLTokenizer":
    """A vocabulary of the 256 bytes, by which whole texts are checked."""
    tokens = [*(bytes([number]) for number in range(256)), b"<end>"]
    return llguidance().LLTokenizer(_Vocabulary(tokens, 256, [256], list))


_known: "WeakKeyDictionary[Tokenizer, LLTokenizer]" = WeakKeyDictionary()


def of_tokenizer(tokenizer: Tokenizer) -> "LLTokenizer":
    """The tokenizer as llguidance has it; made once, since that takes up to a second.

    Raises ConstraintError where tokens are no stretches of text, as those of BERT.
    """
    if tokenizer not in _known:
        backend, spelling = tokenizer.backend, tokenizer.spelling or _spelling_with_blanks(tokenizer)

        def encode(text: bytes) -> list[int]:  # without a reference to the tokenizer, which would then never be let go
            return backend.encode(text.decode(), add_special_tokens=False).ids

        special = tokenizer.special_ids | {tokenizer.end}
        _known[tokenizer] = llguidance().LLTokenizer(_Vocabulary(spelling, tokenizer.end, special, encode))
    return _known[tokenizer]


def _spelling_with_blanks(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of tokens in which a sign stands for a blank, as SentencePiece has them; of a first token, too, though it is then
    left out when the text is put together.
    """
    decoder = json.loads(tokenizer.backend.to_str())["decoder"] or {}
    steps = {step["type"] for step in decoder.get("decoders", [decoder]) if step}
    if not steps <= {"Metaspace", "Replace", "ByteFallback", "Fuse", "Strip"}:
        raise ConstraintError(
            f"the tokenizer puts its tokens together by {', '.join(sorted(steps)) or 'blanks'}; a form needs tokens that are stretches of text"
        )
    spelling = [b""] * tokenizer.vocab_size
    for token, number in tokenizer.backend.get_vocab(with_added_tokens=True).items():
        byte = BYTE_TOKEN.fullmatch(token)
        spelling[number] = bytes([int(byte[1], 16)]) if byte else token.replace(BLANK, " ").encode()
    return spelling
