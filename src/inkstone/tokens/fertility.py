"""How well a tokenizer fits a text: bytes per token, tokens per word, and what of the vocabulary is used."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tokenizers import Regex, pre_tokenizers

from inkstone.errors import TextError
from inkstone.tokens.tokenizer import Tokenizer

# Words for counting: runs of letters, marks and digits; a Han character is a word of its own, as no space says where
# one ends. White space and signs are no words.
WORD = Regex(r"\p{Han}|(?:(?!\p{Han})[\p{L}\p{M}\p{N}])+(?:['’](?:(?!\p{Han})[\p{L}\p{M}])+)*")
BATCH_BYTES = 1 << 20


@dataclass(frozen=True)
class Fertility:
    """Figures of one tokenizer on one text.

    `tokens_per_word` is the fertility (Rust et al. 2021), all tokens over all words: 1 means that each word is one
    token. `vocabulary_used` is the share of ids that occur; `byte_tokens` the share of tokens that spell no whole
    character but a part of one, which the vocabulary does not hold.
    """

    documents: int
    bytes: int
    characters: int
    words: int
    tokens: int
    bytes_per_token: float
    characters_per_token: float
    tokens_per_word: float
    vocabulary_used: float
    byte_tokens: float


def fertility(tokenizer: Tokenizer, texts: Iterable[str]) -> Fertility:
    """Measure a tokenizer on texts. Raises TextError where there is no text."""
    splitter = pre_tokenizers.Split(WORD, "removed", invert=True)
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    documents = size = characters = words = 0
    for group in _groups(texts):
        for ids in tokenizer.encode_batch(group):
            counts += np.bincount(ids, minlength=len(counts))
        documents += len(group)
        size += sum(len(text.encode("utf-8", "replace")) for text in group)
        characters += sum(map(len, group))
        words += sum(len(splitter.pre_tokenize_str(text)) for text in group)
    tokens = int(counts.sum())
    if not tokens:
        raise TextError("there is no text to measure a tokenizer on")
    torn = sum(int(counts[number]) for number in np.flatnonzero(counts) if _is_torn(tokenizer, int(number)))
    return Fertility(
        documents=documents,
        bytes=size,
        characters=characters,
        words=words,
        tokens=tokens,
        bytes_per_token=size / tokens,
        characters_per_token=characters / tokens,
        tokens_per_word=tokens / max(1, words),
        vocabulary_used=float(np.count_nonzero(counts)) / tokenizer.vocab_size,
        byte_tokens=torn / tokens,
    )


def _groups(texts: Iterable[str]) -> Iterable[list[str]]:
    group: list[str] = []
    waiting = 0
    for text in texts:
        group.append(text)
        waiting += len(text)
        if waiting >= BATCH_BYTES:
            yield group
            group, waiting = [], 0
    if group:
        yield group


def _is_torn(tokenizer: Tokenizer, number: int) -> bool:
    """Whether a token begins or ends inside a character."""
    if tokenizer.spelling is None:
        return (tokenizer.backend.id_to_token(number) or "").startswith("<0x")
    try:
        tokenizer.spelling[number].decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
