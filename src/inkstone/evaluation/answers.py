"""Exact match and F1 of extracted answers, by the rules of SQuAD (English) and of CMRC 2018 (Chinese).

| rule | exact match of | F1 over | overlap |
|---|---|---|---|
| squad | words | words | those they share, each as often as in both (Rajpurkar et al. 2016) |
| cmrc | characters | mixed segments | the longest run that both contain (Cui et al. 2019) |
| segments | characters | mixed segments | those they share, each as often as in both |

"cmrc" is the official one for CMRC 2018, and the usual one for DRCD. It looks at order, so that its F1 is never above that of
"segments", which is the way of SQuAD applied to Chinese. Words and segments are those of `answer_segments`.

Of several gold answers the best counts. A question without any (SQuAD 2.0) is unanswerable: right is then the empty
answer, and nothing else.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from jaxtyping import Bool, Float

from inkstone.errors import TextError, nearest
from inkstone.evaluation.answer_segments import cmrc_characters, cmrc_segments, squad_words
from inkstone.evaluation.label_scores import same_length


@dataclass(frozen=True)
class Rule:
    """How two answers are compared."""

    exact_form: Callable[[str], str]  # equal forms are an exact match
    segments: Callable[[str], list[str]]
    overlap: Callable[[list[str], list[str]], int]


def shared(first: list[str], second: list[str]) -> int:
    """How many segments two answers share, in any order, each as often as in both."""
    return sum((Counter(first) & Counter(second)).values())


def longest_run(first: list[str], second: list[str]) -> int:
    """The length of the longest run of segments that stands in both.

    >>> longest_run(list("文房四宝"), list("四宝文房"))
    2
    """
    return SequenceMatcher(None, first, second, autojunk=False).find_longest_match().size


RULES = {
    "squad": Rule(lambda text: " ".join(squad_words(text)), squad_words, shared),
    "cmrc": Rule(cmrc_characters, cmrc_segments, longest_run),
    "segments": Rule(cmrc_characters, cmrc_segments, shared),
}


@dataclass(frozen=True)
class AnswerScore:
    """The score of one answer, from 0 to 1."""

    exact: float
    f1: float


def answer_score(answer: str, gold: Sequence[str], rule: str = "squad") -> AnswerScore:
    """The score of an answer beside the best of the gold answers; none of these: the question has no answer.

    As in SQuAD 2.0, gold answers of which the rule leaves nothing (a mere “the”) are passed over, and where an answer is
    empty, F1 is whether both are. For questions with an answer this equals SQuAD 1.1 and the CMRC 2018 script.

    >>> answer_score("the Inkstone", ["an inkstone", "ink"]), answer_score("", []).f1
    (AnswerScore(exact=1.0, f1=1.0), 1.0)
    >>> answer_score("王羲之的砚台", ["砚台"], "cmrc")
    AnswerScore(exact=0.0, f1=0.5)
    """
    how = _rule(rule)
    given, given_form = how.segments(answer), how.exact_form(answer)
    best = AnswerScore(0.0, 0.0)
    for other in [text for text in gold if how.segments(text)] or [""]:
        wanted = how.segments(other)
        if given and wanted:
            f1 = 2 * how.overlap(given, wanted) / (len(given) + len(wanted))
        else:
            f1 = float(given == wanted)
        exact = float(given_form == how.exact_form(other))
        best = AnswerScore(max(best.exact, exact), max(best.f1, f1))
    return best


@dataclass(frozen=True)
class AnswerScores:
    """The means over all questions, and over those with and without an answer (None where there are none)."""

    questions: int
    exact: float
    f1: float
    answerable: int
    answerable_exact: float | None
    answerable_f1: float | None
    unanswerable_right: float | None  # the share of questions without an answer to which none was given
    each: tuple[AnswerScore, ...]  # of every question, in order: for intervals and tests of significance


def answer_scores(answers: Sequence[str], gold: Sequence[Sequence[str]], rule: str = "squad") -> AnswerScores:
    """The scores of one answer to each question. Raises TextError where their numbers differ or the rule is not known."""
    same_length(gold, answers)
    each = tuple(answer_score(answer, own, rule) for answer, own in zip(answers, gold, strict=True))
    exact, f1 = np.array([score.exact for score in each]), np.array([score.f1 for score in each])
    segments = _rule(rule).segments
    has = np.array([any(segments(text) for text in own) for own in gold])

    def mean(values: np.ndarray, where: np.ndarray) -> float | None:
        return float(values[where].mean()) if where.any() else None

    return AnswerScores(
        len(each), float(exact.mean()), float(f1.mean()), int(has.sum()), mean(exact, has), mean(f1, has),
        mean(exact, ~has), each,
    )  # fmt: skip


def no_answer_threshold(
    scores: Float[np.ndarray, " n"], no_answer: Float[np.ndarray, " n"], answerable: Bool[np.ndarray, " n"]
) -> tuple[float, float]:
    """Above which score for “no answer” to give none: the threshold, and the mean score that it brings.

    `scores` are those of the answers given as if all questions had one, `no_answer` how strongly the model believes that
    there is none; a question gets none where it lies above the threshold. Every threshold is tried (as by the script of
    SQuAD 2.0); of equally good ones the lowest is returned. Choose it on development data.
    """
    order = np.argsort(no_answer, kind="stable")
    levels, kept = np.asarray(no_answer, np.float64)[order], np.where(answerable, scores, 0.0)[order]
    silent = (~np.asarray(answerable, bool))[order]
    # After the first i questions keep their answers, the others have none.
    totals = np.concatenate([[0.0], np.cumsum(kept)]) + silent.sum() - np.concatenate([[0], np.cumsum(silent)])
    possible = np.append(np.concatenate([[True], levels[1:] != levels[:-1]]), True)  # equal levels go together
    best = int(np.argmax(np.where(possible, totals, -np.inf)))
    threshold = float(levels[best - 1]) if best else float(np.nextafter(levels[0], -np.inf))
    return threshold, float(totals[best] / len(levels))


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise TextError(f"there is no rule {name!r} of comparing answers; {nearest(name, RULES)}")
    return RULES[name]
