"""The stretches of a text that may stand for it: runs of words inside a sentence, or several whole sentences.

What is known of a stretch is told in features, which are names: those of its first unit, those of its last, and those of each unit
inside. Units are words and the signs between them; a stretch begins and ends with a word, and has both brackets of a pair or none.

| side | features of a unit |
|---|---|
| first | the word, its neighbours and pairs of these; whether it begins a sentence, and which: its number from both ends, its rank in TextRank |
| last | the word, its neighbours and pairs of these; whether a sentence ends with it |
| inside | the word; how often the text has it, whether it stands there for the first time; the number and rank of its sentence |
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from jaxtyping import Int

from inkstone.text.extractive import sentence_ranks
from inkstone.text.stop_words import is_stop_word
from inkstone.text.word_cutting import Cutting
from inkstone.text.words import sentences

SIDES = ("first", "last", "inside")
WORD = regex.compile(r"[\p{L}\p{N}]")
OPENING, CLOSING = "([{（［｛〔【《〈「『“", ")]}）］｝〕】》〉」』”"
MOST_UNITS = 2000  # of a text; what comes after them is not looked at
MOST = {"number": 4, "from the end": 2, "rank": 3, "times": 4}  # above which numbers are taken as one

Features = dict[str, list[list[str]]]  # of each side, for each unit


@dataclass(frozen=True)
class Stretches:
    """The stretches of a text, by the numbers of their first and last units."""

    text: str
    places: list[tuple[int, int]]  # begin and stop of each unit
    first: Int[np.ndarray, " s"]
    last: Int[np.ndarray, " s"]
    words_before: Int[np.ndarray, " units+1"]
    features: Features

    @classmethod
    def of(cls, text: str, longest: int) -> "Stretches":
        """Those of at most so many words. A text without any word has none.

        >>> found = Stretches.of("Ink dries. Wait.", 2)
        >>> [found.words(number) for number in range(len(found))]
        ['Ink', 'Ink dries', 'dries', 'Wait']
        """
        places = Cutting().places(text)[:MOST_UNITS]
        ends = _sentence_ends(text)
        sentence = np.searchsorted([stop for _, stop in ends], [begin for begin, _ in places], side="right")
        sentence = np.minimum(sentence, len(ends) - 1)
        is_word = np.array([bool(WORD.search(text, *place)) for place in places], dtype=bool)
        depth = _depth([text[begin:stop] for begin, stop in places])
        first, last = _pairs(is_word, sentence, depth, longest)
        before = np.concatenate(([0], np.cumsum(is_word))).astype(np.int64)
        return cls(text, places, first, last, before, _features(text, places, sentence, is_word, ends))

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> Int[np.ndarray, " s"]:
        """The words of each stretch."""
        return self.words_before[self.last + 1] - self.words_before[self.first]

    def units(self) -> list[str]:
        """The text's units."""
        return [self.text[begin:stop] for begin, stop in self.places]

    def words(self, number: int) -> str:
        """A stretch as it stands in the text."""
        return self.text[self.places[self.first[number]][0] : self.places[self.last[number]][1]]


def _sentence_ends(text: str) -> list[tuple[str, int]]:
    """The sentences, and where each ends."""
    found, at = [], 0
    for sentence in sentences(text):
        at = max(at, text.find(sentence, at)) + len(sentence)
        found.append((" ".join(sentence.split()), at))
    return found


def _depth(units: Sequence[str]) -> Int[np.ndarray, " units+1"]:
    """How many brackets are open before each unit, less those that were closed without having been opened."""
    opened = [sum((sign in OPENING) - (sign in CLOSING) for sign in unit) for unit in units]
    return np.concatenate(([0], np.cumsum(opened))).astype(np.int64)


def _pairs(is_word: np.ndarray, sentence: np.ndarray, depth: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last units, sorted: all pairs of words in one sentence, and pairs that hold whole sentences."""
    words = np.flatnonzero(is_word)
    if not len(words):
        return words, words
    of = sentence[words]
    begins = np.flatnonzero(np.diff(of, prepend=-1))  # among the words
    stops = np.append(begins[1:], len(words))
    first: list[np.ndarray] = []
    last: list[np.ndarray] = []
    for number, (begin, stop) in enumerate(zip(begins.tolist(), stops.tolist(), strict=True)):
        for at in range(begin, stop):
            own = np.arange(at, min(at + longest, stop))
            if at == begin:
                further = stops[number + 1 :]
                own = np.concatenate((own, further[further - at <= longest] - 1))
            open_before = depth[words[at]]
            lowest = np.minimum.accumulate(depth[words[at] : words[own[-1]] + 2])
            stop_units = words[own]
            whole = (depth[stop_units + 1] == open_before) & (lowest[stop_units + 1 - words[at]] == open_before)
            first.append(np.full(int(whole.sum()), words[at]))
            last.append(stop_units[whole])
    return np.concatenate(first), np.concatenate(last)


def _features(
    text: str,
    places: Sequence[tuple[int, int]],
    sentence: np.ndarray,
    is_word: np.ndarray,
    ends: Sequence[tuple[str, int]],
) -> Features:
    units = [text[begin:stop].lower() for begin, stop in places]
    around = ["", "", *units, "", ""]
    times, seen = Counter(units), set()
    order = np.argsort(-sentence_ranks([own for own, _ in ends]).round(6), kind="stable")
    rank = np.argsort(order, kind="stable")
    found: Features = {side: [] for side in SIDES}
    word_places = np.flatnonzero(is_word)
    of_words = sentence[word_places]
    begins = set(word_places[np.diff(of_words, prepend=-1) != 0].tolist())
    stops = set(word_places[np.diff(of_words, append=len(ends)) != 0].tolist())
    for at, word in enumerate(units):
        before2, before, _, after, after2 = around[at : at + 5]
        own = int(sentence[at])
        number, from_end = min(own, MOST["number"]), min(len(ends) - 1 - own, MOST["from the end"])
        where = (f"number {number}", f"from the end {from_end}", f"rank {min(int(rank[own]), MOST['rank'])}")
        begin, stop, common = at in begins, at in stops, is_stop_word(word)
        found["first"].append(
            [
                *(f"word {word}", f"before {before}", f"before {before2} {before}", f"from {before} {word}"),
                *(f"word {word} {after}", f"begins {begin}", *(f"begins {begin} {each}" for each in where)),
            ]
        )
        found["last"].append(
            [
                *(f"word {word}", f"after {after}", f"after {after} {after2}"),
                *(f"word {before} {word}", f"to {word} {after}", f"ends {stop}"),
            ]
        )
        time = f"times {min(times[word], MOST['times'])} {common}"
        found["inside"].append(
            [f"word {word}", time, f"again {word in seen} {common}", f"sign {not is_word[at]}", *where]
        )
        seen.add(word)
    return found
