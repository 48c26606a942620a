"""Answers found by words alone: the sentence that shares most with the question, and the likeliest run of words in it.

    weight of a sentence  Σ ln(1 + N / n_w) over the words w (pairs of Chinese characters) that it shares with the question
    p(run)  ∝ exp(θ · features)          over the runs of words of that sentence

N contexts, n_w of them with w. The features are a few facts about a run: its length, digits, capitals, quotation marks, how
near it stands to what the question shares, each also with the kind of question (who, when, how many, ...). θ is fitted on the
training part by gradient ascent: seconds, whatever the size. In the manner of Rajpurkar et al. 2016 (section 5), and far
smaller.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import regex
from jaxtyping import Float, Int

from inkstone.text.overlap import content_words, shared_characters

LEARNED_FROM = 1500  # questions
PASSES = 5
RATE = 0.3
LONGEST_RUN = 12  # words; Chinese characters count as words
MOST_WORDS = 400  # of a sentence that are looked at
PENALTY = 1e-3
FAR = 10**6

SENTENCE_END = regex.compile(r"[.!?]+[\"'”’)]*(?=\s)|[。！？；]+[”’」』）]*|\n+")
WORD = regex.compile(r"\p{Han}|[\p{L}\p{M}\p{N}--\p{Han}]+(?:[.,'’\-–][\p{L}\p{M}\p{N}--\p{Han}]+)*", regex.V1)
KINDS = (  # of questions, the first that is found
    (
        "number",
        r"how (?:many|much|long|old|far|tall|high|often)|what (?:percent|number)|多少|几|幾|多[长長高大远遠久]|第",
    ),
    (
        "when",
        r"\bwhen\b|what (?:year|date|day|month|century|time)|which year|什么时候|何时|何時|哪一?年|哪个?时|什麼時候|時間|时间|日期",
    ),
    ("who", r"\bwho(?:m|se)?\b|谁|誰|何人|哪位|哪个人|什么人|什麼人"),
    (
        "where",
        r"\bwhere\b|what (?:city|country|state|place)|which (?:city|country|state)|哪里|哪裡|哪儿|何处|何處|何地|什么地方|什麼地方|哪[个個一]?[国國城省市县縣]",
    ),
    ("why", r"\bwhy\b|为什么|為什麼|为何|為何|原因"),
    ("name", r"\bname\b|\bcalled\b|\btitle\b|名称|名稱|叫做?什|书名|書名|哪[一]?[部本首]"),
    ("how", r"\bhow\b|怎么|怎麼|怎样|怎樣|如何"),
)
KIND_NAMES = (*(name for name, _ in KINDS), "other")
PATTERNS = [(name, regex.compile(pattern, regex.IGNORECASE)) for name, pattern in KINDS]
YEAR = regex.compile(r"(?:1\d|20)\d\d")
OPENING, CLOSING = "\"“「『《‘'", "\"”」』》’'"
FACTS = (
    *("1 word", "2 words", "3 words", "4 to 5", "6 to 8", "9 and more"),
    *("digits", "capitals", "a year", "rare", "shares", "in quotation marks"),
    *("begins after a mark", "ends before a mark", "begins the sentence", "ends it", "near", "next to what is shared"),
)
LENGTHS = np.array([1, 2, 3, 5, 8])  # the upper ends of the classes of lengths


@dataclass(frozen=True)
class LexicalAnswers:
    """The counts and the weights."""

    inverse: dict[str, float]  # ln(1 + N / n_w)
    unseen: float  # of a word that no context has
    longest: int  # characters of an answer
    weights: Float[np.ndarray, "kinds facts"]  # the first row is of all questions
    sentences: dict[str, list[tuple[int, int, set[str]]]] = field(default_factory=dict)  # of each context, found once

    @classmethod
    def fit(cls, train: Sequence, longest: int, generator: np.random.Generator) -> "LexicalAnswers":
        """Count words of the contexts, and learn from some of the questions."""
        contexts = sorted({example.context for example in train})
        counts = Counter(word for context in contexts for word in content_words(context))
        inverse = {word: math.log(1 + len(contexts) / count) for word, count in counts.items()}
        shape = (1 + len(KIND_NAMES), len(FACTS))
        fitted = cls(inverse, math.log(1 + len(contexts)), longest, np.zeros(shape))
        chosen = generator.permutation(len(train))[:LEARNED_FROM]
        lessons = [lesson for number in chosen if (lesson := fitted._lesson(train[number])) is not None]
        for step in range(PASSES):
            for number in generator.permutation(len(lessons)):
                kind, facts, right = lessons[number]
                rows = fitted.weights[[0, kind]]
                gradient = (right - _softmax(facts @ rows.sum(0))) @ facts
                fitted.weights[[0, kind]] += RATE / (1 + step) * (gradient - PENALTY * rows)
        return fitted

    def answer(self, question: str, context: str) -> tuple[int, int, float]:
        """The likeliest run: from which character to which, and its probability among the runs of its sentence."""
        runs, facts = self._runs(question, context)
        if not len(runs):
            return 0, 0, 0.0
        chance = _softmax(facts @ self.weights[[0, _row(question)]].sum(0))
        best = int(np.argmax(chance))
        return int(runs[best, 0]), int(runs[best, 1]), float(chance[best])

    def _lesson(self, example) -> tuple[int, np.ndarray, np.ndarray] | None:
        """The kind of a question, its runs, and how right each is: those that overlap most with the answer, together 1."""
        if example.placed is None:
            return None
        runs, facts = self._runs(example.question, example.context)
        start, stop = example.placed
        if not len(runs):
            return None
        common = np.clip(np.minimum(runs[:, 1], stop) - np.maximum(runs[:, 0], start), 0, None)
        f1 = 2 * common / (runs[:, 1] - runs[:, 0] + stop - start)
        right = (f1 == f1.max()).astype(np.float64)
        return (_row(example.question), facts, right / right.sum()) if f1.max() > 0 else None

    def _runs(self, question: str, context: str) -> tuple[Int[np.ndarray, "n 2"], Float[np.ndarray, "n facts"]]:
        """The runs of words of the best sentence, and what there is to say of each."""
        if context not in self.sentences:
            self.sentences[context] = [(a, b, content_words(context[a:b])) for a, b in sentence_places(context)]
        asked = content_words(question)
        begin, end, _ = max(
            self.sentences[context] or [(0, 0, set())],
            key=lambda sentence: sum(self.inverse.get(word, self.unseen) for word in sentence[2] & asked),
        )
        sentence = context[begin:end]
        words = [match.span() for match in WORD.finditer(sentence)][:MOST_WORDS]
        if not words:
            return np.zeros((0, 2), dtype=np.int64), np.zeros((0, len(FACTS)))
        shared = shared_characters(sentence, asked)
        first = np.repeat(np.arange(len(words)), LONGEST_RUN)
        last = first + np.tile(np.arange(LONGEST_RUN), len(words))
        first, last = first[last < len(words)], last[last < len(words)]
        places = np.array(words)
        near = places[last, 1] - places[first, 0] <= self.longest
        first, last = first[near], last[near]
        runs = begin + np.stack([places[first, 0], places[last, 1]], axis=1)
        return runs, self._facts(sentence, words, shared, first, last)

    def _facts(
        self,
        sentence: str,
        words: list[tuple[int, int]],
        shared: bytearray,
        first: Int[np.ndarray, " n"],
        last: Int[np.ndarray, " n"],
    ) -> Float[np.ndarray, "n facts"]:
        """In the order of `FACTS`: shares of the words of a run, then what stands around it."""
        spelled = [sentence[left:right] for left, right in words]
        of_words = np.array(
            [
                (
                    any(character.isdigit() for character in word),
                    word[0].isupper(),
                    YEAR.fullmatch(word) is not None,
                    self.inverse.get(word.lower(), self.unseen) / self.unseen,
                    any(shared[left:right]),
                )
                for word, (left, right) in zip(spelled, words, strict=True)
            ],
            dtype=np.float64,
        )
        sums = np.concatenate([np.zeros((1, of_words.shape[1])), np.cumsum(of_words, axis=0)])
        length = last - first + 1
        shares = (sums[last + 1] - sums[first]) / length[:, None]
        before = [sentence[:left].rstrip()[-1:] for left, _ in words]
        after = [sentence[right:].lstrip()[:1] for _, right in words]
        opened, closed = (
            np.array([side != "" and side in marks for side in of])
            for of, marks in ((before, OPENING), (after, CLOSING))
        )
        marked = [np.array([bool(side) and not side.isalnum() for side in of]) for of in (before, after)]
        known = np.flatnonzero(of_words[:, 4])
        left = np.concatenate([[-FAR], known])[np.searchsorted(known, first)]  # the last shared word before the run
        right = np.append(known, FAR)[np.searchsorted(known, last, side="right")]
        gap = np.minimum(first - left, right - last)
        lengths = np.eye(len(LENGTHS) + 1)[np.searchsorted(LENGTHS, length)]
        around = [
            *(opened[first] & closed[last], marked[0][first], marked[1][last]),
            *(first == 0, last == len(words) - 1, 1 / gap, gap == 1),
        ]
        return np.concatenate([lengths, shares, np.stack(around, axis=1)], axis=1)


def _row(question: str) -> int:
    return 1 + KIND_NAMES.index(kind_of(question))


def kind_of(question: str) -> str:
    """What a question asks for, by its words.

    >>> kind_of("When was it built?"), kind_of("谁写了这本书？"), kind_of("Name it.")
    ('when', 'who', 'name')
    """
    return next((name for name, pattern in PATTERNS if pattern.search(question)), "other")


def sentence_places(text: str) -> list[tuple[int, int]]:
    """From which character to which each sentence reaches, cut after stops.

    >>> sentence_places("One. Two? 三。")
    [(0, 4), (5, 9), (10, 12)]
    """
    places, begin = [], 0
    for match in [*SENTENCE_END.finditer(text), None]:
        end = match.end() if match else len(text)
        piece = text[begin:end]
        if piece.strip():
            left = begin + len(piece) - len(piece.lstrip())
            places.append((left, left + len(piece.strip())))
        begin = end
    return places


def _softmax(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()
