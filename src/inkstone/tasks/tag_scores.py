"""How well words are tagged: accuracy, strict F1 of spans, or F1 of the words of segmented text; by label; and what went wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inkstone.evaluation.intervals import ratio
from inkstone.evaluation.label_scores import by_label, label_scores, micro_f1
from inkstone.evaluation.spans import span_counts, span_scores
from inkstone.evaluation.tag_schemes import Span, spans_of
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.tagged import Tagged, words_of

ACCURACY, SPANS, WORDS = "accuracy", "span F1", "word F1"  # what counts
WORD = "word"  # the label of the spans of segmented text
MOST_TOLD = 8  # differences of a sentence that are told


def tag_measures(examples: Sequence[Tagged], answers: Sequence[Answer], score: str) -> dict[str, Measure]:
    """The figures, the one that counts first."""
    exact = np.array([[gold == given, 1] for gold, given in _both(examples, answers, score)], dtype=np.float64)
    found = {}
    if score != ACCURACY:
        gold, given = zip(*_both(examples, answers, score), strict=True)
        labels = sorted({span.label for side in (gold, given) for own in side for span in own}) or [WORD]
        found[score] = Measure(
            span_counts(gold, given, labels).sum(1, keepdims=True), micro_f1
        )  # whatever labels a run gives
    if score != WORDS:
        right = [
            [sum(a == b for a, b in zip(example.tags, answer["tags"], strict=True)), len(example.tags)]
            for example, answer in zip(examples, answers, strict=True)
        ]
        found["accuracy" if score == ACCURACY else "tag accuracy"] = Measure(np.array(right, dtype=np.float64), ratio)
    return found | {"whole sentences": Measure(exact, ratio)}


def tag_details(examples: Sequence[Tagged], answers: Sequence[Answer], score: str) -> dict[str, Any]:
    """The scores of each label; of tags that stand alone also how often each is taken for which."""
    if score != ACCURACY:
        gold, given = zip(*_both(examples, answers, score), strict=True)
        return {"labels": by_label(span_scores(gold, given).per_label)}
    scores = label_scores(
        [tag for example in examples for tag in example.tags], [tag for answer in answers for tag in answer["tags"]]
    )
    confusion = {"labels": list(scores.per_label), "counts": np.asarray(scores.confusion).tolist()}
    return {"labels": by_label(scores.per_label), "confusion": confusion}


def tag_mistakes(examples: Sequence[Tagged], answers: Sequence[Answer], score: str) -> list[dict[str, Any]]:
    """Of each sentence what gold and answer have alone, and how much of it is right."""
    rows = []
    for example, answer, (gold, given) in zip(examples, answers, _both(examples, answers, score), strict=True):
        if score == ACCURACY:
            wrong = [at for at, (a, b) in enumerate(zip(gold, given, strict=True)) if a != b]
            told = [[f"{example.words[at]}/{side[at]}" for at in wrong] for side in (gold, given)]
            share = 1 - len(wrong) / max(1, len(gold))
        else:
            right = set(gold) & set(given)
            told = [[_told(example, span, score) for span in side if span not in right] for side in (gold, given)]
            share = 2 * len(right) / (len(gold) + len(given)) if gold or given else 1.0
        rows.append(
            {
                "place": example.place,
                "text": example.text,
                "gold": listed(told[0]),
                "predicted": listed(told[1]),
                "right": gold == given,
                "score": share,
                "confidence": answer.get("probability"),
            }
        )
    return rows


def _both(examples: Sequence[Tagged], answers: Sequence[Answer], score: str) -> list[tuple[list[Any], list[Any]]]:
    """Gold and answer of each sentence: tags, spans of words, or words as spans of characters."""
    pairs = []
    for example, answer in zip(examples, answers, strict=True):
        if score == WORDS:
            gold = [Span(begin, stop, WORD) for begin, stop, _ in words_of(example, example.tags)]
            pairs.append((gold, [Span(begin, stop, WORD) for begin, stop in answer["offsets"]]))
        elif score == SPANS:
            pairs.append((spans_of(example.tags), spans_of(answer["tags"])))
        else:
            pairs.append((list(example.tags), list(answer["tags"])))
    return pairs


def _told(example: Tagged, span: Span, score: str) -> str:
    if score == WORDS:
        return example.text[span.start : span.stop]
    last = span.stop - 1
    return f"{example.text[example.starts[span.start] : example.starts[last] + len(example.words[last])]}/{span.label}"


def listed(told: list[str]) -> str:
    """The first of several differences as one line."""
    more = f", … {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return ", ".join(told[:MOST_TOLD]) + more
