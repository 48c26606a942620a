"""How well labels were given: accuracy, precision, recall, F1 and the confusion of labels.

Every figure is a function of three counts for each label, summed over the texts: how often it was given rightly, how
often it was given, how often it should have been. Kept for each text (`label_counts`, `label_set_counts`), the counts
are what `intervals.figure_interval` and `significance.permutation_test` draw anew.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from inkstone.errors import TextError, nearest

CORRECT, PREDICTED, GOLD = range(3)  # the last axis of counts


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 of one label. A figure whose denominator is zero is None: it was never put to the test.

    >>> Score(correct=3, predicted=4, gold=6).f1, Score(0, 0, 2).precision, Score(0, 0, 2).f1
    (0.6, None, 0.0)
    """

    correct: int  # where it was given and is right
    predicted: int  # where it was given
    gold: int  # where it should have been given

    @property
    def precision(self) -> float | None:
        """correct / predicted: how much of what was given is right."""
        return self.correct / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """correct / gold: how much of what should have been given was."""
        return self.correct / self.gold if self.gold else None

    @property
    def f1(self) -> float | None:
        """2 · correct / (predicted + gold), the harmonic mean of precision and recall."""
        both = self.predicted + self.gold
        return 2 * self.correct / both if both else None


@dataclass(frozen=True)
class LabelScores:
    """All figures of one set of predictions.

    macro_f1 is the mean of F1 over the labels that occur, in the gold labels or in the predictions: one that was given
    where it never belongs counts as 0, one that stands in neither is left out and named in `absent`. micro_f1 is F1 of
    the counts of all labels together; with one label a text it equals the accuracy.
    """

    texts: int
    accuracy: float  # the share of texts with the right label; with several a text, with exactly the right ones
    macro_f1: float | None  # None where no text has or was given a label
    micro_f1: float | None
    per_label: dict[str, Score]
    absent: tuple[str, ...]  # asked for, but neither in the gold labels nor in the predictions
    never_gold: tuple[str, ...]  # not in the gold labels: their recall is unknown
    never_predicted: tuple[str, ...]  # not in the predictions: their precision is unknown
    confusion: Int[np.ndarray, "k k"] | None  # row: gold label, column: predicted one; None with several labels a text

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the confusion's rows and columns."""
        return tuple(self.per_label)


def label_scores(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str] | None = None) -> LabelScores:
    """The figures of a classifier that gives each text one label.

    `labels` are all there are, in the order wanted; without it, those that occur, sorted. Raises TextError where the two
    sequences differ in length, are empty, or hold a label that is not among `labels`.

    >>> scores = label_scores(["a", "a", "b"], ["a", "b", "b"])
    >>> scores.confusion.tolist(), round(scores.macro_f1, 3), scores.per_label["a"].recall
    ([[1, 1], [0, 1]], 0.667, 0.5)
    """
    same_length(gold, predicted)
    labels = _labels(labels, gold, predicted)
    rows, columns = _places(gold, labels, "gold"), _places(predicted, labels, "predicted")
    k = len(labels)
    confusion = np.bincount(rows * k + columns, minlength=k * k).reshape(k, k)
    counts = np.stack([np.diagonal(confusion), confusion.sum(0), confusion.sum(1)], axis=-1)
    return _scores(labels, counts, float(np.mean(rows == columns)), len(rows), confusion)


def label_set_scores(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str] | None = None
) -> LabelScores:
    """The figures of a classifier that gives each text any number of labels, none included.

    The accuracy is the subset accuracy: all labels of the text right and no other. Errors as for `label_scores`.
    """
    same_length(gold, predicted)
    labels = _labels(labels, (label for own in gold for label in own), (label for own in predicted for label in own))
    counts = label_set_counts(gold, predicted, labels)
    exact = [set(ours) == set(theirs) for ours, theirs in zip(gold, predicted, strict=True)]
    return _scores(labels, counts.sum(0, dtype=np.int64), float(np.mean(exact)), len(exact), None)


def label_counts(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Int[np.ndarray, "n k 3"]:
    """For each text and label: was it given rightly, was it given, should it have been (0 or 1 each)."""
    same_length(gold, predicted)
    return label_set_counts([(label,) for label in gold], [(label,) for label in predicted], labels)


def label_set_counts(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> Int[np.ndarray, "n k 3"]:
    """The same counts where a text has any number of labels."""
    same_length(gold, predicted)
    counts = np.zeros((len(gold), len(labels), 3), dtype=np.int8)
    for axis, name, side in ((GOLD, "gold", gold), (PREDICTED, "predicted", predicted)):
        texts = np.repeat(np.arange(len(side)), [len(own) for own in side])
        counts[texts, _places([label for own in side for label in own], labels, name), axis] = 1
    counts[..., CORRECT] = counts[..., PREDICTED] & counts[..., GOLD]
    return counts


def f1(counts: Num[np.ndarray, "*rest 3"]) -> Float[np.ndarray, "*rest"]:
    """F1 of counts (correct, predicted, gold) along the last axis; not a number where nothing was given nor due."""
    both = counts[..., PREDICTED] + counts[..., GOLD]
    return np.divide(2.0 * counts[..., CORRECT], both, out=np.full(both.shape, np.nan), where=both > 0)


def micro_f1(counts: Num[np.ndarray, "*rest k 3"]) -> Float[np.ndarray, "*rest"]:
    """F1 of the counts of all labels together."""
    return f1(counts.sum(axis=-2))


def macro_f1(counts: Num[np.ndarray, "*rest k 3"]) -> Float[np.ndarray, "*rest"]:
    """The mean of F1 over the labels that occur; not a number where none does."""
    each = f1(counts)
    occurring = ~np.isnan(each)
    number = occurring.sum(axis=-1)
    total = np.where(occurring, each, 0.0).sum(axis=-1)
    return np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)


def same_length(gold: Sequence, predicted: Sequence) -> None:
    """Raise TextError unless there is one prediction for each gold item, and at least one of both."""
    if len(gold) != len(predicted):
        raise TextError(f"{len(predicted)} predictions for {len(gold)} gold items; each needs exactly one")
    if not len(gold):
        raise TextError("there is nothing to score: no gold items and no predictions")


def as_scores(labels: Sequence[str], counts: Num[np.ndarray, "k 3"]) -> dict[str, Score]:
    """The counts of each label as its score."""
    return {label: Score(*map(int, own)) for label, own in zip(labels, counts, strict=True)}


def by_label(scores: Mapping[str, Score]) -> dict[str, dict[str, float | None]]:
    """Precision, recall, F1 and counts of each label, as JSON holds them."""
    return {
        name: {
            "precision": own.precision, "recall": own.recall, "f1": own.f1,
            "correct": own.correct, "given": own.predicted, "gold": own.gold,
        }
        for name, own in scores.items()
    }  # fmt: skip


def _scores(labels, counts, accuracy, texts, confusion) -> LabelScores:
    def without(*sides: int) -> tuple[str, ...]:
        return tuple(label for label, own in zip(labels, counts, strict=True) if not own[list(sides)].any())

    nothing = not counts.any()
    return LabelScores(
        texts=texts,
        accuracy=accuracy,
        macro_f1=None if nothing else float(macro_f1(counts)),
        micro_f1=None if nothing else float(micro_f1(counts)),
        per_label=as_scores(labels, counts),
        absent=without(PREDICTED, GOLD),
        never_gold=without(GOLD),
        never_predicted=without(PREDICTED),
        confusion=confusion,
    )


def _labels(labels: Sequence[str] | None, gold, predicted) -> list[str]:
    return list(dict.fromkeys(labels)) if labels is not None else sorted({*gold, *predicted})


def _places(given: Sequence[str], labels: Sequence[str], side: str) -> np.ndarray:
    place = {label: at for at, label in enumerate(labels)}
    try:
        return np.fromiter((place[label] for label in given), dtype=np.int64, count=len(given))
    except KeyError as error:
        label = error.args[0]
        raise TextError(f"the {side} label {label!r} is not among the labels; {nearest(str(label), labels)}") from None
