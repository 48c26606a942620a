"""The bytes that each token spells, for tokenizers in which they do not depend on the neighbours."""

import json
import re

import tokenizers

BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def byte_alphabet() -> dict[str, int]:
    """The printable character that stands for each byte in a byte-level vocabulary (Radford et al. 2019).

    Bytes that are printable in Latin-1 stand for themselves; the others, in order, for U+0100 onward.

    >>> alphabet = byte_alphabet()
    >>> len(alphabet), alphabet["a"], alphabet["Ġ"]
    (256, 97, 32)
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTE = byte_alphabet()
_CHARACTER = {byte: character for character, byte in _BYTE.items()}


def byte_level(text: str) -> str:
    """A text as a byte-level vocabulary writes it.

    >>> byte_level(" 砚")
    'Ġçłļ'
    """
    return "".join(_CHARACTER[byte] for byte in text.encode())


def byte_level_bytes(token: str) -> bytes:
    """The bytes of a byte-level token; a token outside that alphabet stands for its own characters.

    >>> byte_level_bytes("Ġçłļ").decode()
    ' 砚'
    """
    try:
        return bytes(_BYTE[character] for character in token)
    except KeyError:
        return token.encode()


def byte_token(byte: int) -> str:
    """The name of a byte in vocabularies that fall back to bytes.

    >>> byte_token(10)
    '<0x0A>'
    """
    return f"<0x{byte:02X}>"


def spelling_of(backend: tokenizers.Tokenizer, vocab_size: int) -> list[bytes] | None:
    """The bytes of each id, or None where the decoder does more than put the tokens' bytes side by side."""
    decoder = json.loads(backend.to_str())["decoder"]
    steps = [] if decoder is None else decoder.get("decoders", [decoder])
    names = [step["type"] for step in steps]
    if names == ["ByteLevel"]:
        spell = byte_level_bytes
    elif names == ["ByteFallback", "Fuse"]:
        spell = _fallback_bytes
    else:
        return None
    spelling = [b""] * vocab_size
    for token, number in backend.get_vocab(with_added_tokens=True).items():
        spelling[number] = spell(token)
    for number, token in backend.get_added_tokens_decoder().items():
        spelling[number] = token.content.encode()
    return spelling


def _fallback_bytes(token: str) -> bytes:
    match = BYTE_TOKEN.fullmatch(token)
    return bytes([int(match[1], 16)]) if match else token.encode()
