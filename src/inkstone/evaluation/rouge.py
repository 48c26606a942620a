"""ROUGE: how much a text shares with a reference summary (Lin 2004).

    precision = shared / tokens of the text      recall = shared / tokens of the reference      F1 = 2 P R / (P + R)

| name | what is shared |
|---|---|
| ROUGE-1, ROUGE-2 | words, or pairs of neighbouring words, each as often as in both (section 2) |
| ROUGE-L | a longest common subsequence of the whole texts (section 3.1) |
| ROUGE-Lsum | for each line of the reference, what it has in common with any line of the text (section 3.2) |

For pairs, precision and recall are out of the pairs. For ROUGE-Lsum a line is a sentence; the longest common subsequences of
a line of the reference with each line of the text are united, and a word counts no more often than the text has it (as in
ROUGE 1.5.5). Tokens are those of `rouge_tokens`: on English all figures equal those of the package rouge-score; Chinese, of
which that package sees nothing, is counted by characters.

Of several references that with the highest F1 counts, for each kind by itself. A text or reference without any token
(pair, for ROUGE-2) scores 0. ROUGE sees words alone: it knows neither synonyms nor whether a summary is true.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from jaxtyping import Float

from inkstone.errors import TextError, nearest
from inkstone.evaluation.intervals import with_ones
from inkstone.evaluation.label_scores import same_length
from inkstone.evaluation.rouge_tokens import Letters, rouge_tokens
from inkstone.evaluation.subsequence import common_length, united_places


@dataclass(frozen=True)
class RougeScore:
    """Three figures from 0 to 1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class RougeScores:
    """The scores of many texts: for each kind a row (precision, recall, F1) a text, in their order."""

    each: dict[str, Float[np.ndarray, "n 3"]]

    def mean(self, kind: str) -> RougeScore:
        """The means over the texts: what is reported."""
        return RougeScore(*(float(value) for value in self.each[kind].mean(0)))

    def statistics(self, kind: str) -> Float[np.ndarray, "n 2"]:
        """(F1, 1) of each text, whose `intervals.ratio` is the mean F1: for intervals and tests of significance."""
        return with_ones(self.each[kind][:, 2])


@dataclass(frozen=True)
class _Cut:
    """A text as tokens, and these by lines."""

    tokens: list[str]
    lines: list[list[str]]

    @classmethod
    def of(cls, text: str, stem: bool, letters: Letters) -> "_Cut":
        lines = [line for part in text.split("\n") if (line := rouge_tokens(part, stem=stem, letters=letters))]
        return cls(list(chain.from_iterable(lines)), lines)

    @cached_property
    def words(self) -> Counter[Hashable]:
        return Counter(self.tokens)

    @cached_property
    def pairs(self) -> Counter[Hashable]:
        return Counter(zip(self.tokens, self.tokens[1:], strict=False))


def rouge_score(
    text: str,
    references: Sequence[str],
    kinds: Sequence[str] = ("ROUGE-1", "ROUGE-2", "ROUGE-L"),
    *,
    stem: bool = False,
    letters: Letters = "a-z",
) -> dict[str, RougeScore]:
    """The scores of a text, for each kind beside the best of its references; `stem` and `letters` as in `rouge_tokens`.

    Raises TextError for an unknown kind, or where there is no reference.

    >>> rouge_score("the ink and the stone", ["the stone and ink"])["ROUGE-L"]
    RougeScore(precision=0.4, recall=0.5, f1=0.4444444444444445)
    >>> rouge_score("端砚的制作", ["端砚制作"], ["ROUGE-2"])["ROUGE-2"]
    RougeScore(precision=0.5, recall=0.6666666666666666, f1=0.5714285714285715)
    """
    if isinstance(references, str) or not references:
        raise TextError(f"a text is scored beside a list of references with at least one, not {references!r}")
    if unknown := [kind for kind in kinds if kind not in _COUNTED]:
        raise TextError(f"there is no kind {unknown[0]!r} of ROUGE; {nearest(unknown[0], _COUNTED)}")
    own = _Cut.of(text, stem, letters)
    theirs = [_Cut.of(reference, stem, letters) for reference in references]
    return {
        kind: max((_score(*_COUNTED[kind](own, other)) for other in theirs), key=lambda score: score.f1)
        for kind in kinds
    }


def rouge_scores(
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
    kinds: Sequence[str] = ("ROUGE-1", "ROUGE-2", "ROUGE-L"),
    *,
    stem: bool = False,
    letters: Letters = "a-z",
) -> RougeScores:
    """The scores of many texts, each beside its own references. Raises TextError as `rouge_score`, and for unequal numbers.

    >>> rouge_scores(["砚", "墨"], [["砚台"], ["墨"]]).mean("ROUGE-1")
    RougeScore(precision=1.0, recall=0.75, f1=0.8333333333333333)
    """
    same_length(references, texts)
    found = [
        rouge_score(text, own, kinds, stem=stem, letters=letters) for text, own in zip(texts, references, strict=True)
    ]
    return RougeScores(
        {
            kind: np.array([(own[kind].precision, own[kind].recall, own[kind].f1) for own in found]).reshape(-1, 3)
            for kind in kinds
        }
    )


def _shared(first: Counter[Hashable], second: Counter[Hashable]) -> int:
    """How many things stand in both, each as often as in both."""
    return sum(min(first[thing], second[thing]) for thing in first.keys() & second.keys())


def _words(text: _Cut, reference: _Cut) -> tuple[int, int, int]:
    return _shared(text.words, reference.words), len(text.tokens), len(reference.tokens)


def _pairs(text: _Cut, reference: _Cut) -> tuple[int, int, int]:
    return _shared(text.pairs, reference.pairs), text.pairs.total(), reference.pairs.total()


def _subsequence(text: _Cut, reference: _Cut) -> tuple[int, int, int]:
    return common_length(text.tokens, reference.tokens), len(text.tokens), len(reference.tokens)


def _by_lines(text: _Cut, reference: _Cut) -> tuple[int, int, int]:
    if len(text.lines) <= 1 and len(reference.lines) <= 1:
        return _subsequence(text, reference)
    united: Counter[Hashable] = Counter()
    for line in reference.lines:
        places = united_places(line, text.lines)
        united.update(token for place, token in enumerate(line) if places >> place & 1)
    return _shared(united, text.words), len(text.tokens), len(reference.tokens)


# What is shared, and how many there are in the text and in the reference.
_COUNTED: dict[str, Callable[[_Cut, _Cut], tuple[int, int, int]]] = {
    "ROUGE-1": _words,
    "ROUGE-2": _pairs,
    "ROUGE-L": _subsequence,
    "ROUGE-Lsum": _by_lines,
}


def _score(shared: int, own: int, theirs: int) -> RougeScore:
    if not shared:
        return RougeScore(0.0, 0.0, 0.0)
    precision, recall = shared / own, shared / theirs
    return RougeScore(precision, recall, 2 * precision * recall / (precision + recall))
