"""Unigram language model tokenizer (Kudo 2018): pieces with probabilities, and the likeliest segmentation.

The library's learner adds probabilities in an order that changes from run to run, and with them some of the pieces.
This one, on arrays, gives the same tokenizer each time.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers

from inkstone.tokens.byte_bpe import PATTERN
from inkstone.tokens.frequencies import character_counts, covering_characters
from inkstone.tokens.vocabulary import COVERAGE, base_tokens

LONGEST_PIECE = 10  # characters
LONGEST_WORD = 24  # characters: longer pre-tokens are learned from in parts
SEEDS = 12  # pieces to start from, for each that stays
SHRINK = 0.75  # share of the pieces that outlives one pruning
PASSES = 2  # of expectation and maximisation between prunings
WORDS_AT_ONCE = 20_000

# Log-probabilities. No path of known pieces is as unlikely as one byte token, so that bytes only spell the unknown.
BYTE_SCORE = -10_000.0
UNSEEN_SCORE = -30.0  # an ASCII character that the text does not hold
UNKNOWN = "<unk>"  # the library demands one; with a token for every byte it never comes out


def learn_unigram(texts: list[str], size: int) -> tokenizers.Tokenizer:
    """A unigram tokenizer of at most `size` tokens, of which 257 are the base."""
    pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    frequent = covering_characters(character_counts(texts), COVERAGE, (size - 257) // 2)
    learned = learn_pieces(_counted_words(texts, pre_tokenizer), size - 257 - len(frequent))
    scores = {UNKNOWN: 0.0}
    for token in base_tokens():
        scores[token] = learned.get(token, UNSEEN_SCORE) if len(token) == 1 else BYTE_SCORE
    scores |= {character: learned[character] for character in frequent}
    scores |= {piece: score for piece, score in learned.items() if len(piece) > 1}
    backend = tokenizers.Tokenizer(models.Unigram(vocab=list(scores.items()), unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend


def _counted_words(texts: list[str], pre_tokenizer: pre_tokenizers.PreTokenizer) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in pre_tokenizer.pre_tokenize_str(text):
            counts.update(word[at : at + LONGEST_WORD] for at in range(0, len(word), LONGEST_WORD))
    return counts


def learn_pieces(words: dict[str, int], most: int) -> dict[str, float]:
    """Log-probabilities of every character of the words and of at most `most` longer pieces, the likeliest first.

    Starts from frequent stretches of words, and by turns fits the probabilities (expectation-maximisation over all
    segmentations) and takes away the pieces whose loss lowers the likelihood of the words least.
    """
    lattice = _seeded(words, max(SEEDS * most, 10_000))
    while True:
        for _ in range(PASSES):
            lattice = lattice.fitted(lattice.expected_counts())
        longer = int(np.count_nonzero(lattice.lengths > 1))
        if longer <= most:
            break
        lattice = lattice.without_the_least_useful(max(most, int(SHRINK * longer)))
    order = np.argsort(-lattice.probabilities, kind="stable")
    return {lattice.piece(number): round(float(np.log(lattice.probabilities[number])), 6) for number in order}


@dataclass(frozen=True)
class _Lattice:
    """All segmentations of the words into pieces.

    The words stand one after another in `text`; `pieces[position, length - 1]` is the number of the piece of that
    length that begins there, or -1. A piece is `lengths` characters long, and stands at `places` for the first time.
    """

    text: str
    starts: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray
    pieces: np.ndarray
    places: np.ndarray
    lengths: np.ndarray
    probabilities: np.ndarray

    def piece(self, number: int) -> str:
        return self.text[self.places[number] : self.places[number] + self.lengths[number]]

    def expected_counts(self) -> np.ndarray:
        """How often each piece occurs, over all segmentations of all words, weighted by their probability."""
        expected = np.zeros(len(self.probabilities))
        for size, words in self._words_by_size():
            found = self.pieces[self.starts[words, None] + np.arange(size)]  # (words, size, lengths)
            likely = self._likelihoods(found)
            before = np.zeros((len(words), size + 1))  # probability of all ways to reach a place
            after = np.zeros((len(words), size + 1))  # and of all ways from there to the end
            before[:, 0] = after[:, size] = 1
            for place in range(size):
                reach = min(LONGEST_PIECE, size - place)
                before[:, place + 1 : place + 1 + reach] += before[:, place, None] * likely[:, place, :reach]
            for place in range(size - 1, -1, -1):
                reach = min(LONGEST_PIECE, size - place)
                after[:, place] = (likely[:, place, :reach] * after[:, place + 1 : place + 1 + reach]).sum(axis=1)
            weight = self.counts[words] / before[:, size]
            for place in range(size):
                reach = min(LONGEST_PIECE, size - place)
                share = weight[:, None] * before[:, place, None] * likely[:, place, :reach]
                share *= after[:, place + 1 : place + 1 + reach]
                here = found[:, place, :reach]
                known = here >= 0
                expected += np.bincount(here[known], weights=share[known], minlength=len(expected))
        return expected

    def fitted(self, expected: np.ndarray) -> "_Lattice":
        """The lattice with the probabilities that the counts give. A longer piece that is hardly used goes."""
        lattice = self._keep((self.lengths == 1) | (expected >= 0.5))
        counts = np.maximum(expected[(self.lengths == 1) | (expected >= 0.5)], 0.1)  # every character stays possible
        return replace(lattice, probabilities=counts / counts.sum())

    def without_the_least_useful(self, most: int) -> "_Lattice":
        """The lattice with `most` longer pieces: those that save most against spelling them with other pieces."""
        longer = np.flatnonzero(self.lengths > 1)
        saved = np.zeros(len(longer))
        for size in range(2, LONGEST_PIECE + 1):
            chosen = self.lengths[longer] == size
            found = self.pieces[self.places[longer[chosen], None] + np.arange(size)]
            likely = self._likelihoods(found)
            likely[:, 0, size - 1] = 0  # any way but itself
            best = np.zeros((len(found), size + 1))
            best[:, 0] = 1
            for place in range(size):
                ahead = best[:, place + 1 :]
                np.maximum(ahead, best[:, place, None] * likely[:, place, : size - place], out=ahead)
            saved[chosen] = np.log(self.probabilities[longer[chosen]] / best[:, size])
        worth = self.probabilities[longer] * saved
        kept = self.lengths == 1
        kept[longer[np.argsort(-worth, kind="stable")[:most]]] = True
        return self._keep(kept)

    def _likelihoods(self, found: np.ndarray) -> np.ndarray:
        return np.append(self.probabilities, 0.0)[found]  # -1, no piece, is the last

    def _words_by_size(self) -> Iterator[tuple[int, np.ndarray]]:
        for size in range(1, LONGEST_WORD + 1):
            words = np.flatnonzero(self.sizes == size)
            for start in range(0, len(words), WORDS_AT_ONCE):
                yield size, words[start : start + WORDS_AT_ONCE]

    def _keep(self, kept: np.ndarray) -> "_Lattice":
        number = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1).astype(np.int32)
        probabilities = self.probabilities[kept]
        return replace(
            self,
            pieces=number[self.pieces],
            places=self.places[kept],
            lengths=self.lengths[kept],
            probabilities=probabilities / probabilities.sum(),
        )


def _seeded(words: dict[str, int], most: int) -> _Lattice:
    """A lattice of every character, and of the `most` longer stretches with the most characters in all places."""
    text = "".join(words)
    sizes = np.array([len(word) for word in words])
    starts = np.cumsum(sizes) - sizes
    counts = np.array(list(words.values()), dtype=np.float64)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    weights = np.repeat(counts, sizes)
    left = np.repeat(starts + sizes, sizes) - np.arange(len(text))  # characters from here to the end of the word
    pieces = np.full((len(text), LONGEST_PIECE), -1, dtype=np.int32)
    hashes = np.zeros(len(text), dtype=np.uint64)
    places, lengths, uses = [], [], []
    for length in range(1, LONGEST_PIECE + 1):
        here = np.flatnonzero(left >= length)
        # One multiplication a character: stretches of equal text, and practically no others, have equal hashes.
        hashes[here] = hashes[here] * np.uint64(0x9E3779B97F4A7C15) + codes[here + length - 1] + np.uint64(1)
        _, first, number = np.unique(hashes[here], return_index=True, return_inverse=True)
        use = np.bincount(number, weights=weights[here])
        pieces[here, length - 1] = number + sum(map(len, uses))
        places.append(here[first])
        lengths.append(np.full(len(first), length))
        uses.append(use)
    place, length, use = np.concatenate(places), np.concatenate(lengths), np.concatenate(uses)
    worth = np.where((length > 1) & (use >= 2), length * use, 0)
    kept = length == 1
    best = np.lexsort((place, -worth))[:most]
    kept[best[worth[best] > 0]] = True
    lattice = _Lattice(text, starts, sizes, counts, pieces, place, length, use / use.sum())
    return lattice._keep(kept)
