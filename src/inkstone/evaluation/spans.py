"""Strict F1 of labelled spans, for named entities, chunks and semantic roles.

A predicted span is right where start, stop and label are those of a gold span (CoNLL-2000 and 2003). Spans come from the
tags of a sentence (`tag_schemes.spans_of`) or as they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from inkstone.errors import TextError
from inkstone.evaluation.label_scores import CORRECT, GOLD, PREDICTED, Score, as_scores, macro_f1, same_length
from inkstone.evaluation.tag_schemes import spans_of

# For each sentence its spans: the first word, the place after the last one, the label.
Spans = Sequence[Iterable[tuple[int, int, str]]]


@dataclass(frozen=True)
class SpanScores:
    """The scores of all spans together and of each label; macro_f1 is the mean of F1 over the labels that occur."""

    overall: Score
    per_label: dict[str, Score]
    macro_f1: float | None  # None where there is no span at all
    sentences: int
    exact_sentences: int  # sentences with all spans right and no other
    tag_accuracy: float | None = None  # the share of words with the right tag; None where spans were given


def span_scores(gold: Spans, predicted: Spans, labels: Sequence[str] | None = None) -> SpanScores:
    """The scores of spans (start, stop, label), sentence by sentence (for semantic roles: predicate by predicate).

    Spans may overlap; the same span twice counts once. `labels` restricts the figures to these (roles without the verb
    itself, say); without it, all that occur count. Raises TextError where gold and predictions differ in length.

    >>> span_scores([[(0, 2, "PER"), (4, 5, "LOC")]], [[(0, 2, "PER"), (4, 6, "LOC")]]).overall.f1
    0.5
    """
    gold_sets, predicted_sets = _sets(gold, labels), _sets(predicted, labels)
    if labels is None:
        labels = sorted({label for side in (gold_sets, predicted_sets) for own in side for _, _, label in own})
    counts = span_counts(gold_sets, predicted_sets, labels)
    each = counts.sum(0, dtype=np.int64)
    mean = float(macro_f1(each))
    return SpanScores(
        overall=Score(*map(int, each.sum(0))),
        per_label=as_scores(labels, each),
        macro_f1=None if np.isnan(mean) else mean,
        sentences=len(gold_sets),
        exact_sentences=sum(ours == theirs for ours, theirs in zip(gold_sets, predicted_sets, strict=True)),
    )


def tag_scores(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    scheme: str = "BIO",
    *,
    strict: bool = True,
    labels: Sequence[str] | None = None,
) -> SpanScores:
    """The scores of the spans in the tags of sentences; both sides are read alike (see `spans_of`).

    Strict, a span that a model tags without its beginning is no span: the figures are those of seqeval in strict mode.
    Not strict, they are those of the conlleval script, which the papers on CoNLL-2000 and 2003 report.
    """
    same_length(gold, predicted)
    for number, (ours, theirs) in enumerate(zip(gold, predicted, strict=True), 1):
        if len(ours) != len(theirs):
            raise TextError(f"sentence {number}: {len(theirs)} predicted tags for {len(ours)} words; each needs one")
    scores = span_scores(
        [spans_of(tags, scheme, strict=strict) for tags in gold],
        [spans_of(tags, scheme, strict=strict) for tags in predicted],
        labels,
    )
    words = sum(map(len, gold))
    right = sum(a == b for ours, theirs in zip(gold, predicted, strict=True) for a, b in zip(ours, theirs, strict=True))
    return SpanScores(**{**vars(scores), "tag_accuracy": right / words if words else None})


def span_counts(gold: Spans, predicted: Spans, labels: Sequence[str]) -> Int[np.ndarray, "n k 3"]:
    """For each sentence and label: right, predicted and gold spans. Spans of other labels are not counted.

    With `label_scores.micro_f1` as figure, `intervals.figure_interval` gives the interval of the overall F1.
    """
    same_length(gold, predicted)
    place = {label: at for at, label in enumerate(labels)}
    counts = np.zeros((len(gold), len(labels), 3), dtype=np.int32)
    for at, (ours, theirs) in enumerate(zip(_sets(gold, labels), _sets(predicted, labels), strict=True)):
        for axis, spans in ((GOLD, ours), (PREDICTED, theirs), (CORRECT, ours & theirs)):
            for _, _, label in spans:
                counts[at, place[label], axis] += 1
    return counts


def _sets(sentences: Spans, labels: Sequence[str] | None) -> list[set[tuple[int, int, str]]]:
    return [
        {(start, stop, label) for start, stop, label in own if labels is None or label in labels} for own in sentences
    ]
