"""Learning a tokenizer from text: byte-level BPE, unigram, words or characters."""

from collections.abc import Iterator

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from inkstone.errors import RecipeError, nearest
from inkstone.tokens.tokenizer import END, KINDS, SPECIAL_TOKENS, Tokenizer

# The pattern of the Qwen2 and Qwen3 tokenizers, kept to the letter: llama.cpp knows byte-level BPE by its pattern.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def learn_tokenizer(
    texts: Iterator[str], kind: str = "byte-bpe", vocab_size: int = 4096, *, seed: int = 0, sample_bytes: int = 32 << 20
) -> Tokenizer:
    """A tokenizer of `kind` with at most `vocab_size` ids, learned from texts."""
    if kind not in KINDS:
        raise RecipeError(f"unknown tokenizer kind {kind!r}; {nearest(kind, KINDS)}")
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return Tokenizer(backend, kind, backend.token_to_id(END))
