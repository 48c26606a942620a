"""Unigram language model tokenizer (Kudo 2018): pieces with probabilities, and the likeliest segmentation."""

import json

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from inkstone.tokens.byte_bpe import PATTERN
from inkstone.tokens.frequencies import character_counts, covering_characters
from inkstone.tokens.vocabulary import COVERAGE, base_tokens

# Log-probabilities. No path of known pieces is as unlikely as one byte token, so that bytes only spell the unknown.
BYTE_SCORE = -10_000.0
SPARE = 1.2  # pieces the library is asked for, of those needed
UNSEEN_SCORE = -30.0  # an ASCII character that the text does not hold
UNKNOWN = "<unk>"  # the library demands one; with a token for every byte it never comes out


def learn_unigram(texts: list[str], size: int) -> tokenizers.Tokenizer:
    """A unigram tokenizer of at most `size` tokens, of which 257 are the base.

    The library sums probabilities in an order that changes from run to run. It is therefore asked for more pieces
    than needed; scores are rounded, and the last choice is made here, equal scores in the order of the pieces.
    """
    counts = character_counts(texts)
    base = base_tokens()
    ascii_tokens = [token for token in base if len(token) == 1]
    frequent = covering_characters(counts, COVERAGE, (size - 257) // 2)
    rare = {ord(character): "\n" for character in counts.keys() - set(frequent) - set(ascii_tokens)}
    rare[0] = "\n"  # the library's own mark between sentences
    learner = tokenizers.Tokenizer(models.Unigram())
    learner.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    seen_ascii = sum(character in counts for character in ascii_tokens)
    trainer = trainers.UnigramTrainer(
        vocab_size=len(frequent) + seen_ascii + 1 + round(SPARE * (size - 257 - len(frequent))),
        special_tokens=[UNKNOWN],
        unk_token=UNKNOWN,
        show_progress=False,
    )
    learner.train_from_iterator([text.translate(rare) for text in texts], trainer)
    learned = {piece: round(score, 5) for piece, score in json.loads(learner.to_str())["model"]["vocab"]}
    scores = {UNKNOWN: 0.0}
    for token in base:
        scores[token] = learned.get(token, UNSEEN_SCORE) if len(token) == 1 else BYTE_SCORE
    pieces = [piece for piece in learned if piece not in scores]
    # Frequent characters first: whatever is left out for want of room, they stay.
    singles = set(frequent)
    for piece in sorted(pieces, key=lambda piece: (piece not in singles, -learned[piece], piece))[: size - 257]:
        scores[piece] = learned[piece]
    backend = tokenizers.Tokenizer(models.Unigram(vocab=list(scores.items()), unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = learner.pre_tokenizer
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend
