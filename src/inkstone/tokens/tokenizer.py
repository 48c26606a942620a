"""The tokenizer: text to ids and back, exactly, for every family of models."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from inkstone.errors import RunError
from inkstone.files import write_json, write_text
from inkstone.tokens.encoding import BatchEncoder
from inkstone.tokens.spelling import spelling_of
from inkstone.tokens.streaming import ByteStream, TextStream, WindowStream

END = "<|endoftext|>"  # stands before the first, between, and after the last document
TURN_START = "<|im_start|>"  # opens a turn of a conversation (the ChatML form)
TURN_END = "<|im_end|>"
SPECIAL_TOKENS = (END, TURN_START, TURN_END)

KINDS = ("byte-bpe", "unigram", "word", "character")
ROLES_OF_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
ROLES_OF_OURS = ("bos_token", "eos_token", "pad_token")  # all three are the end token
ENDS_OF_OTHERS = (END, "</s>", "<|end_of_text|>", "<eos>", "[SEP]")  # when a foreign folder does not say


def whole_characters(text: str) -> tuple[str, int]:
    """`text` as UTF-8 can hold it, and how many lone surrogates became U+FFFD; a pair becomes its character.

    >>> whole_characters("ink \\ud83d\\ude00 \\udcff")
    ('ink 😀 �', 1)
    """
    try:
        text.encode("utf-8")
        return text, 0
    except UnicodeEncodeError:
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole, whole.count("�") - text.count("�")


class Tokenizer:
    """A `tokenizers.Tokenizer` with what a language model needs beside it.

    `kind` is one of `KINDS`, for which every string comes back exactly from `decode(encode(text))`, or "foreign".
    `end` is the id that stands before the first token of a document and after its last one.
    `names` are the tokens that other programs and chat templates know by their roles: {"bos_token": "<s>", ...}.
    Text is text: "<|endoftext|>" written in it stays ordinary characters; special tokens enter as ids only.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        kind: str = "foreign",
        end: int | None = None,
        names: Mapping[str, str] | None = None,
    ):
        self.backend = backend
        self.kind = kind
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        found = [backend.token_to_id(token) for token in ENDS_OF_OTHERS] if end is None else [end]
        known = [number for number in found if number is not None]
        if not known:
            raise RunError(f"the tokenizer has no end token; it may be named one of {', '.join(ENDS_OF_OTHERS)}")
        self.end = known[0]
        if kind != "foreign":  # other programs then begin a text as ours do; `encode` leaves it to its caller
            name = backend.id_to_token(self.end)
            backend.post_processor = tokenizers.processors.TemplateProcessing(
                single=[name, "$A"], pair=[name, "$A", name, "$B"], special_tokens=[(name, self.end)]
            )
        if names is None:
            names = {role: str(backend.id_to_token(self.end)) for role in ROLES_OF_OURS}
        self.names = dict(names)

    @cached_property
    def vocab_size(self) -> int:
        """Rows of the embedding: the largest id plus one."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def begin(self) -> list[int]:
        """Ids that stand before a prompt: what `tokenizer.json` puts before every text. For ours that is the end token,
        for Llama `<s>`, for GPT-2 and Qwen nothing.
        """
        encoding = self.backend.encode("a")
        return [
            number
            for number, _ in takewhile(itemgetter(1), zip(encoding.ids, encoding.special_tokens_mask, strict=True))
        ]

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id, little-endian."""
        return np.dtype("<u2") if self.vocab_size <= 1 << 16 else np.dtype("<u4")

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of the tokens that are no text."""
        return frozenset(i for i, token in self.backend.get_added_tokens_decoder().items() if token.special)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of `tokenizer.json`: shards carry it, so that no model reads another tokenizer's ids."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without any special token."""
        return self.backend.encode(whole_characters(text)[0], add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[np.ndarray]:
        """The ids of each text, on all cores."""
        return self._encoder.encode([whole_characters(text)[0] for text in texts])

    def decode(self, ids, *, special: bool = False) -> str:
        """The text of ids. Special tokens are left out unless `special`; bytes that are no UTF-8 become U+FFFD."""
        ids = [int(number) for number in ids]
        if self.spelling is None:
            return self.backend.decode(ids, skip_special_tokens=not special)
        skipped = frozenset() if special else self.special_ids
        spelling = self.spelling
        return b"".join(spelling[number] for number in ids if number not in skipped).decode("utf-8", "replace")

    def stream(self, *, special: bool = False) -> TextStream:
        """Text from ids one by one, given out as soon as its characters are whole."""
        skipped = frozenset() if special else self.special_ids
        if self.spelling is None:
            return WindowStream(lambda ids: self.backend.decode(ids, skip_special_tokens=False), skipped)
        return ByteStream(self.spelling, skipped)

    def token_text(self, number: int) -> str:
        """One token for display: bytes that are no whole character show as \\xNN.

        Raises IndexError for an id outside the vocabulary.
        """
        if not 0 <= number < self.vocab_size:
            raise IndexError(f"token {number} is outside the vocabulary of {self.vocab_size}")
        if self.spelling is None:
            return self.backend.id_to_token(number) or ""
        return self.spelling[number].decode("utf-8", "backslashreplace")

    @cached_property
    def spelling(self) -> list[bytes] | None:
        """The UTF-8 bytes that each id stands for, or None where a token's text depends on its neighbours."""
        return spelling_of(self.backend, self.vocab_size)

    def save(self, folder: Path | str) -> None:
        """Write `tokenizer.json` and the `tokenizer_config.json` beside it, as transformers reads them."""
        folder = Path(folder)
        write_text(folder / "tokenizer.json", self._json())
        end = self.backend.id_to_token(self.end)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": end,
            "pad_token": end,
            **self.names,
            "clean_up_tokenization_spaces": False,
            "inkstone_kind": self.kind,
        }
        write_json(folder / "tokenizer_config.json", config)

    @classmethod
    def load(cls, folder: Path | str, end: int | None = None) -> "Tokenizer":
        """Read a tokenizer from a model folder in Hugging Face layout, Inkstone's own or another's.

        `end` is the id of the end token where `tokenizer_config.json` names none.
        Raises RunError where the folder has no readable `tokenizer.json` or no end token can be found.
        """
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise RunError(f"{folder} holds no tokenizer.json")
        try:
            backend = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise RunError(f"{path} is no tokenizer: {error}") from None
        config = _settings(path.with_name("tokenizer_config.json"))
        if "added_tokens_decoder" not in config:  # as older checkpoints are; there the names have a file of their own
            config |= _settings(path.with_name("special_tokens_map.json"))
        names = {role: name for role in ROLES_OF_TOKENS if (name := _token_name(config.get(role))) is not None}
        name = names.get("eos_token")
        if name is None and end is not None:
            name = backend.id_to_token(end)
        number = None if name is None else backend.token_to_id(name)
        return cls(backend, config.get("inkstone_kind", "foreign"), number, names)

    @cached_property
    def _encoder(self) -> BatchEncoder:
        return BatchEncoder(self.backend, self.dtype, cuttable=self.kind in KINDS)

    def _json(self) -> str:
        return self.backend.to_str(pretty=True) + "\n"


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise RunError(f"{path} is no JSON: {error}") from None
    if not isinstance(settings, dict):
        raise RunError(f"{path} holds a {type(settings).__name__}, where an object of settings should stand")
    return settings


def _token_name(told: object) -> str | None:
    """The name of a token as a configuration tells it: a text, or an AddedToken written out."""
    told = told.get("content") if isinstance(told, dict) else told
    return told if isinstance(told, str) else None
