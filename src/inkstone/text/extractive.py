"""Summaries without training: some of a text's own sentences, the first ones or the most central.

TextRank (Mihalcea and Tarau 2004, section 4): sentences are the nodes of a graph, joined by the words that they share,

    similarity(a, b) = |words of a ∩ words of b| / (ln |words of a| + ln |words of b|)
    rank(a) = (1 − d) + d Σ_b similarity(a, b) / Σ_c similarity(b, c) · rank(b)          d = 0.85

and a sentence ranks high that much of what ranks high resembles. Words are those of `overlap.content_words`: without
function words, of Chinese the pairs of characters.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from inkstone.text.overlap import content_words
from inkstone.text.words import sentences

DAMPING = 0.85
MOST_STEPS = 200  # the error falls at least by the damping with each: 10⁻¹⁴ of the first
SETTLED = 1e-9  # the largest change of a rank after which no more steps are made
NEGLIGIBLE = 1e-12  # a part of the similarities so small beside the largest is left out


def lead(
    text: str | Sequence[str],
    most_sentences: int | None = 3,
    most_characters: int | None = None,
    language: str | None = None,
) -> list[str]:
    """The first sentences: as many as both limits allow, but one at least. None is no limit.

    A text given as a string is cut by `words.sentences`, to which `language` goes; blanks inside a sentence become one.

    >>> lead("Ink is ground. It dries slowly. Paper waits.", 2)
    ['Ink is ground.', 'It dries slowly.']
    >>> lead("磨墨。墨干得慢。纸在等。", None, 8)
    ['磨墨。', '墨干得慢。']
    """
    kept: list[str] = []
    found = _sentences(text, language)
    for sentence in found:
        if not _room(kept, sentence, most_sentences, most_characters):
            break
        kept.append(sentence)
    return kept or found[:1]


def textrank(
    text: str | Sequence[str],
    most_sentences: int | None = 3,
    most_characters: int | None = None,
    language: str | None = None,
) -> list[str]:
    """The sentences of the highest rank, in the order of the text; arguments as those of `lead`.

    Sentences are taken by rank, of equal ones the earlier first; those too long for what is left are passed over, and so is
    one that was taken before. Where none is short enough, the one of the highest rank is returned.

    Long sentences share more and rank higher; `most_characters` keeps that in bounds.

    >>> textrank("Rain fell. Inkstones hold ground ink. Ground ink dries on inkstones. Tea helps.", 1)
    ['Inkstones hold ground ink.']
    """
    found = _sentences(text, language)
    order = np.argsort(-sentence_ranks(found).round(6), kind="stable").tolist()
    kept: dict[str, int] = {}  # a sentence and its place
    for place in order:
        if found[place] not in kept and _room(kept, found[place], most_sentences, most_characters):
            kept[found[place]] = place
    return sorted(kept, key=kept.__getitem__) or [found[place] for place in order[:1]]


def sentence_ranks(found: Sequence[str]) -> Float[np.ndarray, " n"]:
    """The rank of each sentence; 1 − d for one that shares no word with another, 1 on average where there is none such."""
    graph = _Graph.of(found)
    degree = graph.times(np.ones(len(found)))
    alone = degree < SETTLED
    degree[alone] = 1
    ranks = np.ones(len(found))
    for _ in range(MOST_STEPS):
        before = ranks
        ranks = np.where(alone, 1 - DAMPING, 1 - DAMPING + DAMPING * graph.times(before / degree))
        if np.abs(ranks - before).max(initial=0) < SETTLED:
            break
    return ranks


@dataclass(frozen=True)
class _Graph:
    """The similarities of n sentences without a table n × n, so that whole books have room.

    What two sentences share is a product of two sparse tables of words. It is divided by ln |a| + ln |b|; the table of
    these divisors' inverses for all lengths that occur is symmetric and all but a sum of a dozen products of vectors,
    its large eigenvalues. A product with the similarities then costs a dozen times the words of the text.
    """

    owner: Int[np.ndarray, " w"]  # the sentence of each of its words
    word: Int[np.ndarray, " w"]
    eigenvalues: Float[np.ndarray, " k"]
    factors: Float[np.ndarray, "k n"]  # of each sentence, by its length
    itself: Float[np.ndarray, " n"]  # the similarity of each with itself, which does not count

    @classmethod
    def of(cls, found: Sequence[str]) -> "_Graph":
        numbers: dict[str, int] = {}
        words = [[numbers.setdefault(word, len(numbers)) for word in content_words(sentence)] for sentence in found]
        lengths = np.array([len(own) for own in words], dtype=np.int64)
        word = np.array([number for own in words for number in own], dtype=np.int64)
        owner = np.repeat(np.arange(len(words)), lengths)
        again = np.bincount(word, minlength=len(numbers))[word] > 1  # a word of one sentence alone joins none
        owner, word = owner[again], word[again]
        kinds, kind = np.unique(lengths, return_inverse=True)
        logs = np.log(np.maximum(kinds, 1))
        divisors = logs[:, None] + logs
        # Two sentences of one word each have no divisor, and are not taken as similar.
        inverse = np.divide(1.0, divisors, out=np.zeros_like(divisors), where=divisors > 0)
        eigenvalues, vectors = np.linalg.eigh(inverse)
        large = np.abs(eigenvalues) > NEGLIGIBLE * np.abs(eigenvalues).max(initial=0)
        shared = np.bincount(owner, minlength=len(words))
        itself = shared * inverse[kind, kind]
        return cls(owner, word, eigenvalues[large], vectors[kind][:, large].T, itself)

    def times(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The sum over all other sentences of similarity times value, for each sentence."""
        total = -self.itself * values
        for eigenvalue, factor in zip(self.eigenvalues, self.factors, strict=True):
            of_words = np.bincount(self.word, (factor * values)[self.owner])
            total += eigenvalue * factor * np.bincount(self.owner, of_words[self.word], minlength=len(values))
        return total


def _sentences(text: str | Sequence[str], language: str | None) -> list[str]:
    found = sentences(text, language) if isinstance(text, str) else text
    return [joined for sentence in found if (joined := " ".join(sentence.split()))]


def _room(kept: Collection[str], sentence: str, most_sentences: int | None, most_characters: int | None) -> bool:
    """Whether a sentence may join those that are kept."""
    if most_sentences is not None and len(kept) >= most_sentences:
        return False
    return most_characters is None or sum(map(len, kept)) + len(sentence) <= most_characters
