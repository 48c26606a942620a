"""Tokenizers that look words or characters up, and spell what they do not know in bytes.

Every vocabulary opens with 256 base tokens: the 128 ASCII characters, which are bytes already, and a token "<0xNN>"
for each byte above. No text is outside such a vocabulary, and none comes back changed.
"""

from collections import Counter

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers

from inkstone.tokens.frequencies import character_counts, covering_characters
from inkstone.tokens.spelling import byte_token

# A word takes the space before it along, as in GPT-2. Han characters are words one by one: where a Chinese word ends
# is a question for a segmenter, and a tokenizer must not depend on one. Digits and signs stand alone as well.
LETTER = r"[[\p{L}\p{M}]&&[^\p{Han}]]"
WORD_PATTERN = (
    rf"\p{{Han}}| ?{LETTER}+(?:['’]{LETTER}+)*|\p{{N}}"
    r"| ?[^\s\p{L}\p{M}\p{N}]|\s*[\r\n]+|\s+(?!\S)|\s+"
)
COVERAGE = 0.9995  # of the characters: the rest is spelled in bytes, as SentencePiece does by default


def base_tokens() -> list[str]:
    """The 256 tokens that spell any text."""
    return [chr(byte) if byte < 0x80 else byte_token(byte) for byte in range(256)]


def learn_words(texts: list[str], size: int) -> tokenizers.Tokenizer:
    """The most frequent words, and the characters that spell most of the others. Every Han character is a word."""
    pre_tokenizer = pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated")
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(text))
    characters = covering_characters(character_counts(texts), COVERAGE, (size - 256) // 2)
    tokens = dict.fromkeys(base_tokens() + characters)
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        if len(tokens) >= size or counts[word] < 2:
            break
        tokens.setdefault(word)
    backend = _lookup(list(tokens), whole_words=True)
    backend.pre_tokenizer = pre_tokenizer
    return backend


def learn_characters(texts: list[str], size: int) -> tokenizers.Tokenizer:
    """The most frequent characters that occur at least twice."""
    counts = character_counts(texts)
    wide = [character for character, count in counts.items() if character >= "\x80" and count > 1]
    return _lookup(base_tokens() + wide[: size - 256], whole_words=False)


def _lookup(tokens: list[str], whole_words: bool) -> tokenizers.Tokenizer:
    """A model that knows tokens, splits what it does not know into characters, and those into bytes.

    It is a BPE without merges: the one model of the library that does all three.
    """
    vocab = {token: number for number, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True, ignore_merges=whole_words))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend
