"""Easy data augmentation: new examples from old ones, by small changes that should leave their label as it is.

    delete    each word goes with probability α
    swap      two words change places, ⌈α · n⌉ times             n words in the text
    replace   ⌈α · n⌉ words give way to a neighbour

Words are those of `text/words.py`, Chinese ones too; what stands between them stays. Nothing here proves that a label
holds: negations are left alone for that reason, but the nearest vectors of "good" include "bad". Look at some.

Source: Wei and Zou 2019, *EDA: Easy Data Augmentation Techniques*; it gains where examples are few (some hundreds). Its
fourth operation, random insertion, is left out: it wants synonyms, and a neighbour in another place is mere noise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import regex

from inkstone.errors import RecipeError, TextError
from inkstone.text.stop_words import is_stop_word
from inkstone.text.words import words

Neighbours = Callable[[str], Sequence[str]]  # the words near a word, nearest first; none for a word that is not known
Label = TypeVar("Label")

NEGATIONS = frozenset(
    [
        "no",
        "not",
        "nor",
        "never",
        "none",
        "nobody",
        "nothing",
        "neither",
        "nowhere",
        "without",
        "cannot",
        "不",
        "没",
        "没有",
        "無",
        "无",
        "非",
        "未",
        "别",
        "別",
        "莫",
        "勿",
        "不是",
        "並不",
        "并不",
    ]
)
TRIES = 4  # for each variant that is asked for; a short text has few
_JOINS = regex.compile(r"(?V1)[[\p{Alphabetic}\p{M}\p{N}_]--\p{Han}]")  # two of these side by side would be one word


@dataclass(frozen=True)
class Pieces:
    """A text as its words and what stands before, between and after them: one gap more than words."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, text: str, language: str | None = None) -> "Pieces":
        """The words of `text/words.py` in their places."""
        found, gaps, at = words(text, language), [], 0
        for word in found:
            start = text.index(word, at)
            gaps.append(text[at:start])
            at = start + len(word)
        return cls(tuple(found), (*gaps, text[at:]))

    def text(self) -> str:
        """The text again, with a blank where two words would run into one."""
        parts = [self.gaps[0]]
        for number, (word, gap) in enumerate(zip(self.words, self.gaps[1:], strict=True), 1):
            joins = not gap and number < len(self.words) and _JOINS.match(word[-1]) and _JOINS.match(self.words[number])
            parts += [word, " " if joins else gap]
        return "".join(parts)

    def without(self, dropped: set[int]) -> "Pieces":
        """The words but for those at these places; of the two gaps around a word one is left."""
        kept, gaps = [], [self.gaps[0]]
        for number, (word, after) in enumerate(zip(self.words, self.gaps[1:], strict=True)):
            if number not in dropped:
                kept.append(word)
                gaps.append(after)
            else:
                gaps[-1] = _one_gap(gaps[-1], after, at_start=not kept)
        return Pieces(tuple(kept), tuple(gaps))


def is_negation(word: str) -> bool:
    """Whether a word turns what is said into its opposite.

    >>> is_negation("Don’t"), is_negation("没有"), is_negation("ink")
    (True, True, False)
    """
    plain = word.lower().replace("’", "'")
    return plain in NEGATIONS or plain.endswith("n't")


def delete_words(pieces: Pieces, share: float, generator: np.random.Generator) -> Pieces:
    """Each word but negations goes with probability `share`; of a text whose words would all go, one stays."""
    draws = generator.random(len(pieces.words))
    dropped = {number for number, word in enumerate(pieces.words) if draws[number] < share and not is_negation(word)}
    if dropped and len(dropped) == len(pieces.words):
        dropped.remove(int(generator.integers(len(pieces.words))))
    return pieces.without(dropped)


def swap_words(pieces: Pieces, share: float, generator: np.random.Generator) -> Pieces:
    """Two words change places, as often as `share` of the words, at least once. Negations stay where they are."""
    free = [number for number, word in enumerate(pieces.words) if not is_negation(word)]
    moved = list(pieces.words)
    if len(free) < 2:
        return pieces
    for _ in range(_count(pieces, share)):
        first, second = (free[chosen] for chosen in generator.choice(len(free), 2, replace=False))
        moved[first], moved[second] = moved[second], moved[first]
    return replace(pieces, words=tuple(moved))


def replace_words(pieces: Pieces, share: float, neighbours: Neighbours, generator: np.random.Generator) -> Pieces:
    """`share` of the words, at least one, give way to one of their neighbours.

    Function words, negations and words without neighbours are passed over. A neighbour takes on the capitals of the word.
    """
    changed = list(pieces.words)
    left = _count(pieces, share)
    for place in generator.permutation(len(changed)):
        word = changed[place]
        if left == 0:
            break
        if is_stop_word(word) or is_negation(word):
            continue
        near = [other for other in neighbours(word) or neighbours(word.lower()) if other.lower() != word.lower()]
        near = [other for other in near if other.strip() and not is_negation(other)]
        if near:
            changed[place] = _capitals_of(word, near[int(generator.integers(len(near)))])
            left -= 1
    return replace(pieces, words=tuple(changed))


def variants(
    text: str,
    number: int,
    generator: np.random.Generator,
    *,
    share: float = 0.1,
    neighbours: Neighbours | None = None,
    language: str | None = None,
) -> list[str]:
    """Up to `number` variants of a text, each other than the text and than the others, by one operation each in turn.

    `share` is the α of the operations; without `neighbours` no word is replaced. A text of which there are too few variants
    (one word, or only negations) gives fewer, perhaps none; none is without words.
    Raises RecipeError for a share outside (0, 1) or a negative number.

    >>> variants("Grind the ink slowly.", 2, np.random.default_rng(1))
    ['the Grind ink slowly.', 'Grind the ink.']
    """
    if not 0 < share < 1 or number < 0:
        raise RecipeError(
            f"share = {share} and number = {number}, but share must lie between 0 and 1, number not below 0"
        )
    pieces = Pieces.of(text, language)
    operations: list[Callable[[], Pieces]] = [
        lambda: delete_words(pieces, share, generator),
        lambda: swap_words(pieces, share, generator),
    ]
    if neighbours is not None:
        operations.append(lambda: replace_words(pieces, share, neighbours, generator))
    found = {text: None}
    for draw in range(TRIES * number):
        if len(found) > number:
            break
        found.setdefault(operations[draw % len(operations)]().text())
    return list(found)[1:]


def augmented(
    texts: Sequence[str],
    labels: Sequence[Label],
    number: int,
    generator: np.random.Generator,
    *,
    share: float = 0.1,
    neighbours: Neighbours | None = None,
    language: str | None = None,
) -> tuple[list[str], list[Label]]:
    """Each text followed by up to `number` of its `variants`, and the label of each.

    Only the training part may be augmented, after the split: a variant of a training text in the test part is a leak.
    Raises TextError where there are not as many labels as texts.
    """
    if len(texts) != len(labels):
        raise TextError(f"{len(texts):,} texts but {len(labels):,} labels; give one label to each text")
    more: list[str] = []
    theirs: list[Label] = []
    for text, label in zip(texts, labels, strict=True):
        made = variants(text, number, generator, share=share, neighbours=neighbours, language=language)
        more += [text, *made]
        theirs += [label] * (1 + len(made))
    return more, theirs


def _count(pieces: Pieces, share: float) -> int:
    return math.ceil(share * len(pieces.words))


def _one_gap(before: str, after: str, at_start: bool) -> str:
    """What is left of the gaps around a word that went: no blank or comma twice, none at the start of the text.

    >>> _one_gap(" ", ", ", False), _one_gap("，", "，", False), _one_gap("", ", ", True)
    (', ', '，', '')
    """
    if at_start and not before.strip():
        return before + after.lstrip(" \t,;:，；：、")
    if after:
        before = before.removesuffix(" ")
    return before + (after[1:] if before and before[-1] == after[:1] else after)


def _capitals_of(word: str, other: str) -> str:
    """The other word, with a capital or in capitals where the word is."""
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other
