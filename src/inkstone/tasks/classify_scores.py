"""How well texts are labelled: accuracy and F1, by label; how far confidence can be believed; and what went wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inkstone.evaluation.calibration import expected_calibration_error, reliability_bins
from inkstone.evaluation.intervals import ratio, with_ones
from inkstone.evaluation.label_scores import (
    by_label,
    label_scores,
    label_set_counts,
    label_set_scores,
    macro_f1,
    micro_f1,
)
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.labelled import Labelled

LEAST = 1e-12  # probability, in the loss of a single example


def given_labels(answer: Answer) -> tuple[str, ...]:
    """The label or labels of an answer."""
    return tuple(answer["labels"]) if "labels" in answer else (answer["label"],)


def label_measures(
    examples: Sequence[Labelled], answers: Sequence[Answer], labels: Sequence[str], several: bool
) -> dict[str, Measure]:
    """The figures, the one that counts first; `labels` are those that were learned."""
    gold = [example.labels for example in examples]
    given = [given_labels(answer) for answer in answers]
    right = with_ones(np.array([set(a) == set(b) for a, b in zip(gold, given, strict=True)]))
    everything = sorted({*labels, *(name for names in gold for name in names)})
    counts = label_set_counts(gold, given, everything)
    accuracy = Measure(right, ratio)
    if several:
        return {
            "micro-F1": Measure(counts.sum(1, keepdims=True), micro_f1),
            "macro-F1": Measure(counts, macro_f1),
            "all labels right": accuracy,
        }
    return {"accuracy": accuracy, "macro-F1": Measure(counts, macro_f1)}


def label_details(examples: Sequence[Labelled], answers: Sequence[Answer], several: bool) -> dict[str, Any]:
    """The scores of each label; of one label a text also which is taken for which, and the calibration."""
    gold, given = [example.labels for example in examples], [given_labels(answer) for answer in answers]
    if several:
        return {"labels": by_label(label_set_scores(gold, given).per_label)}
    scores = label_scores([names[0] for names in gold], [names[0] for names in given])
    confidence = np.array([max(answer["probabilities"].values()) for answer in answers])
    right = np.array([a == b for a, b in zip(gold, given, strict=True)])
    return {
        "labels": by_label(scores.per_label),
        "confusion": {"labels": list(scores.per_label), "counts": np.asarray(scores.confusion).tolist()},
        "calibration_error": expected_calibration_error(confidence, right),
        "reliability": [vars(each) for each in reliability_bins(confidence, right)],
    }


def label_mistakes(examples: Sequence[Labelled], answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """For each example its text and labels, how sure the model was of what it said, and the loss: nats of a right label."""
    rows = []
    for example, answer in zip(examples, answers, strict=True):
        given, chances = given_labels(answer), answer["probabilities"]
        doubt = [chances.get(name, 0.0) for name in example.labels]
        rows.append(
            {
                "place": example.place,
                "text": example.text,
                "gold": ", ".join(example.labels),
                "predicted": ", ".join(given),
                "right": set(given) == set(example.labels),
                "confidence": max((chances[name] for name in given), default=1 - max(chances.values())),
                "loss": -float(np.log(max(min(doubt, default=0.0), LEAST))),
            }
        )
    return rows
