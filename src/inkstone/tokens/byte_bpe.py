"""Byte-level byte-pair encoding, learned on characters.

A plain learner starts from bytes and spends most of its time, on Chinese, putting characters together. Here the
frequent characters come first: each gets the merges that build it from its bytes (sharing their leading bytes), and
the usual algorithm (Sennrich et al. 2016) then runs on characters, three times fewer symbols. The result is an
ordinary byte-level vocabulary with ordered merges, as GPT-2's.
"""

import json
from functools import cache

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from inkstone.tokens.frequencies import character_counts
from inkstone.tokens.spelling import byte_alphabet, byte_level

# The pattern of the Qwen2 and Qwen3 tokenizers, kept to the letter: llama.cpp knows byte-level BPE by its pattern.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Characters are frequent from this many times (all characters / vocabulary) on. Which of these spells text in the
# fewest tokens depends on the text and is tried, from the third on: it is the best of most Chinese text.
SHARES = (0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5)
USUAL = 2
TRIED = 30_000  # characters of text on which they are tried

Merge = tuple[str, str]


def learn_byte_bpe(texts: list[str], size: int) -> tokenizers.Tokenizer:
    """A byte-level BPE of at most `size` tokens, at least the 256 bytes."""
    counts = character_counts(texts)
    merges = _learn_merges(texts, len(counts), size)
    wide = [character for character in counts if character >= "\x80"]
    total = sum(counts.values())
    frequent = [sum(counts[character] >= max(2, share * total / size) for character in wide) for share in SHARES]
    if max(frequent) <= size // 50:  # English: the choice is among a few accented letters
        return byte_level_backend(_with_bytes(wide[: frequent[USUAL]], merges, size))
    tried = _spread(texts, TRIED)

    @cache
    def attempt(count: int) -> tuple[int, tokenizers.Tokenizer]:
        backend = byte_level_backend(_with_bytes(wide[:count], merges, size))
        return sum(len(encoding) for encoding in backend.encode_batch_fast(tried)), backend

    fewest, best = attempt(frequent[USUAL])
    for others in (frequent[USUAL + 1 :], frequent[:USUAL][::-1]):
        for count in others:
            tokens, backend = attempt(count)
            if tokens > fewest:
                break
            fewest, best = tokens, backend
    return best


def byte_level_backend(model: models.BPE) -> tokenizers.Tokenizer:
    """A byte-level BPE with the pre-tokeniser and decoder around it."""
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _learn_merges(texts: list[str], alphabet: int, size: int) -> list[Merge]:
    """Merges of characters and what grew from them, in the order learned, enough for any set of frequent ones."""
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    trainer = trainers.BpeTrainer(vocab_size=alphabet + size - 256, min_frequency=2, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]


def _with_bytes(frequent: list[str], merges: list[Merge], size: int) -> models.BPE:
    """The byte-level model in which frequent characters are built first and merges follow until `size` is reached."""
    vocab = {token: number for number, token in enumerate(sorted(byte_alphabet()))}
    ordered: list[Merge] = []
    known = {chr(byte) for byte in range(128)}
    for character in frequent:
        spelled = byte_level(character)
        steps = [(spelled[:end], spelled[end]) for end in range(1, len(spelled)) if spelled[: end + 1] not in vocab]
        if len(vocab) + len(steps) > size:
            break
        for left, right in steps:
            vocab[left + right] = len(vocab)
            ordered.append((left, right))
        known.add(character)
    for left, right in merges:
        if len(vocab) >= size:
            break
        if known.issuperset(left) and known.issuperset(right):
            merge = byte_level(left), byte_level(right)
            vocab.setdefault("".join(merge), len(vocab))
            ordered.append(merge)
    return models.BPE(vocab=vocab, merges=ordered)


def _spread(texts: list[str], characters: int) -> list[str]:
    """About so many characters, in parts taken evenly from the texts."""
    total = sum(map(len, texts))
    if total <= characters:
        return texts
    share = characters / total
    return [text[: max(1, round(len(text) * share))] for text in texts]
