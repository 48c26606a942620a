"""More tokens for a tokenizer, learned from text of another language or field; those it has keep their ids and their meaning.

- Byte-level BPE goes on learning: frequent characters that it cuts become tokens, and then the usual algorithm (Sennrich et al.
  2016) finds merges in the new text as it is cut by now. All of them come after the old ones, so they apply to what those have
  left, and a text in which none of them does has the tokens that it had before.
- To unigram pieces others are added with the log-probabilities that they have in the new text. The likeliest segmentation
  changes only where it is one with a new piece.
- To words and characters those are added that the new text has often.

Every new token is spelled by old ones, its `pieces`: the mean of their embeddings is where its own begins (Koto et al. 2021,
IndoBERTweet; Gee et al. 2022, Fast Vocabulary Transfer).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from inkstone.errors import RecipeError
from inkstone.tokens.frequencies import character_counts
from inkstone.tokens.learning import SAMPLE_BYTES, sampled_pieces
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.tokens.unigram import learn_unigram
from inkstone.tokens.vocabulary import learn_characters, learn_words

FREQUENT = 0.2  # a character is, from this many times (all characters / new tokens) on; as `byte_bpe` usually has it
MOST_TEXTS = 4096  # pieces that are cut at once
SURROGATES = range(0xD800, 0xE000)  # no characters
FIRST_SYMBOL = 0x100  # character that stands for the id 0 while merges are learned; below are signs and the space


@dataclass(frozen=True)
class Extension:
    """A tokenizer with new tokens, and for each of them, in the order of their ids, the ids of the old one that spell it."""

    tokenizer: Tokenizer
    first: int  # the id of the first new token; the others follow
    pieces: list[list[int]]


def extend_tokenizer(
    tokenizer: Tokenizer, texts: Iterable[str], most: int, *, seed: int = 0, sample_bytes: int = SAMPLE_BYTES // 2
) -> Extension:
    """The tokenizer with at most `most` new tokens, learned from `sample_bytes` of texts; `tokenizer` stays as it is.

    Fewer, or none at all, where the text holds no more that comes twice.
    Raises RecipeError for a tokenizer of other programs that is no byte-level BPE.
    """
    if most < 1:
        raise RecipeError(f"{most} new tokens are none; ask for 1 or more")
    described = json.loads(tokenizer.backend.to_str())
    sample = sampled_pieces(texts, sample_bytes, seed)
    kind = _kind_of(tokenizer, described)
    if kind == "byte-bpe":
        found = _continued_merges(tokenizer, described, sample, most)
    elif kind == "unigram":
        found = _new_pieces(described["model"], sample, most)
    else:
        found = _new_words(kind, described["model"], sample, most)
    return extension_of(_with(tokenizer, described, found), tokenizer)


def extension_of(extended: Tokenizer, tokenizer: Tokenizer) -> Extension:
    """What was added to a tokenizer, of the two as they are on the disk."""
    model, first = json.loads(extended.backend.to_str())["model"], tokenizer.vocab_size
    count = extended.vocab_size - first
    if not model.get("merges"):
        names = [str(extended.backend.id_to_token(first + number)) for number in range(count)]
        return Extension(extended, first, [tokenizer.encode(name) for name in names])
    spelled: dict[int, list[int]] = {}
    for left, right in model["merges"]:
        number = model["vocab"][left + right]
        if number >= first:
            parts = (model["vocab"][left], model["vocab"][right])
            spelled.setdefault(number, [piece for part in parts for piece in spelled.get(part, [part])])
    return Extension(extended, first, [spelled[first + number] for number in range(count)])


@dataclass(frozen=True)
class _Found:
    """New tokens as the vocabulary writes them, and what else their kind needs: merges, or log-probabilities."""

    tokens: list[str]
    merges: list[tuple[str, str]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def _kind_of(tokenizer: Tokenizer, described: dict[str, Any]) -> str:
    if tokenizer.kind != "foreign":
        return tokenizer.kind
    decoder = described["decoder"] or {}
    steps = [step["type"] for step in decoder.get("decoders", [decoder]) if step]
    if described["model"]["type"] == "BPE" and steps == ["ByteLevel"]:
        return "byte-bpe"
    raise RecipeError(
        f"this tokenizer ({described['model']['type']}, of another program) cannot be extended; only Inkstone's own and "
        "byte-level BPE can. Set task.extend_tokenizer = 0 to keep it as it is"
    )


def _continued_merges(tokenizer: Tokenizer, described: dict[str, Any], sample: list[str], most: int) -> _Found:
    """Merges that build frequent characters, and those that byte-pair encoding finds after them.

    The library's learner works on characters, so each id is given to it as one.
    """
    found = _merged_characters(tokenizer, described["model"], sample, most)
    if len(found.tokens) < most:
        backend = _with(tokenizer, json.loads(json.dumps(described)), found).backend
        vocab = backend.get_vocab(with_added_tokens=False)
        symbols = {number: _symbol(number) for number in vocab.values()}
        spelled = {symbols[number]: token for token, number in vocab.items()}
        known = set(vocab)
        for left, right in _learned_merges(backend, sample, symbols, 2 * most):  # some lead to tokens that are there
            if len(found.tokens) == most:
                break
            parts = "".join(spelled[symbol] for symbol in left), "".join(spelled[symbol] for symbol in right)
            token = "".join(parts)
            # A token that exists is reached by the old merges, or else by none: a text keeps the tokens that it had.
            if token not in known and known.issuperset(parts):
                known.add(token)
                found.tokens.append(token)
                found.merges.append(parts)
    return found


def _merged_characters(tokenizer: Tokenizer, model: dict[str, Any], sample: list[str], most: int) -> _Found:
    """What builds the frequent characters from the tokens that spell each of them alone, sharing their beginnings."""
    counts, vocab = character_counts(sample), model["vocab"]
    names = {number: token for token, number in vocab.items()}
    least = max(2, FREQUENT * sum(counts.values()) / most)
    found, known = _Found([]), set(vocab)
    for character, count in counts.items():
        spelled = [names[number] for number in tokenizer.encode(character)]
        ends = [end for end in range(2, len(spelled) + 1) if "".join(spelled[:end]) not in known]
        if count < least or len(found.tokens) + len(ends) > most:
            break
        for end in ends:
            token = "".join(spelled[:end])
            known.add(token)
            found.tokens.append(token)
            found.merges.append(("".join(spelled[: end - 1]), spelled[end - 1]))
    return found


def _learned_merges(
    backend: tokenizers.Tokenizer, sample: list[str], symbols: dict[int, str], most: int
) -> list[tuple[str, str]]:
    """What byte-pair encoding merges in the sample, in terms of the characters that stand for ids."""
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Split(" ", "removed")  # type: ignore[assignment]
    cut = (_cut_words(backend, sample[at : at + MOST_TEXTS], symbols) for at in range(0, len(sample), MOST_TEXTS))
    trainer = trainers.BpeTrainer(vocab_size=len(symbols) + most, min_frequency=2, show_progress=False)
    learner.train_from_iterator((text for group in cut for text in group), trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]


def _cut_words(backend: tokenizers.Tokenizer, texts: list[str], symbols: dict[int, str]) -> Iterable[str]:
    """Texts as the tokenizer cuts them, one character a token and a space between what no merge joins."""
    for encoding in backend.encode_batch(texts, add_special_tokens=False):
        words: list[str] = []
        last = None
        for number, word in zip(encoding.ids, encoding.word_ids, strict=True):
            if word != last and words:
                words.append(" ")
            words.append(symbols.get(number, " "))
            last = word
        yield "".join(words)


def _symbol(number: int) -> str:
    code = FIRST_SYMBOL + number
    return chr(code if code < SURROGATES.start else code + len(SURROGATES))


def _new_pieces(model: dict[str, Any], sample: list[str], most: int) -> _Found:
    """The pieces that the unigram learner finds in the new text alone, the likeliest of them first."""
    known = {token for token, _ in model["vocab"]}
    learned = json.loads(learn_unigram(sample, 257 + most).to_str())["model"]["vocab"]
    found = sorted(((-score, token) for token, score in learned if token not in known))[:most]
    return _Found([token for _, token in found], scores=[-score for score, _ in found])


def _new_words(kind: str, model: dict[str, Any], sample: list[str], most: int) -> _Found:
    """Words, or characters, that the new text has often and the vocabulary lacks."""
    learn = learn_words if kind == "word" else learn_characters
    vocab: dict[str, int] = learn(sample, len(model["vocab"]) + most).get_vocab()
    return _Found(
        [token for token in sorted(vocab, key=lambda token: vocab[token]) if token not in model["vocab"]][:most]
    )


def _with(tokenizer: Tokenizer, described: dict[str, Any], found: _Found) -> Tokenizer:
    """The tokenizer with the tokens that were found, their ids behind all others.

    Special tokens that follow the vocabulary become a part of it: the library numbers them by its size otherwise, and they would
    move. No text leads to them all the same: pre-tokenisers cut their signs from their letters.
    """
    model, first = described["model"], tokenizer.vocab_size
    added = sorted((token["id"], token["content"]) for token in described["added_tokens"])
    if isinstance(model["vocab"], dict):
        model["vocab"] |= {content: number for number, content in added}
        model["vocab"] |= {token: first + number for number, token in enumerate(found.tokens)}
        model["merges"] += [list(merge) for merge in found.merges]
    else:
        least = min(score for _, score in model["vocab"])
        behind = [content for number, content in added if number >= len(model["vocab"])]
        model["vocab"] += [[content, least] for content in behind]
        model["vocab"] += [[token, score] for token, score in zip(found.tokens, found.scores, strict=True)]
    backend = tokenizers.Tokenizer.from_str(json.dumps(described))
    return Tokenizer(backend, tokenizer.kind, tokenizer.end, tokenizer.names)
