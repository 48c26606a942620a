"""Where a model goes wrong: one HTML page of its worst cases, and of its figures by label, length and language.

It knows no task. A classifier, a tagger or an answerer hands in plain cases, each with a score from 0 to 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from inkstone.errors import TextError
from inkstone.evaluation.intervals import ratio_interval
from inkstone.evaluation.label_scores import Score
from inkstone.evaluation.page import rendered, source
from inkstone.evaluation.record import printable
from inkstone.files import write_text

WORST_SHOWN = 40
LENGTH_GROUPS = 5
MOST_IN_CONFUSION = 16  # labels; more would not be readable
MOST_MIX_UPS = 12
LONGEST_TEXT = 3000  # characters of a case that are shown
NAMES = {  # of the figures that the page can call by name in both languages
    "accuracy": "errors_accuracy",
    "macro-F1": "errors_macro_f1",
    "micro-F1": "errors_micro_f1",
    "F1": "errors_f1",
    "span F1": "errors_span_f1",
    "word F1": "errors_word_f1",
    "exact match": "errors_exact",
    "F1 where there is an answer": "errors_f1_answerable",
    "right where there is none": "errors_unanswerable",
    "tag accuracy": "errors_tag_accuracy",
    "whole sentences": "errors_whole_sentences",
    "expected calibration error": "errors_calibration",
    "score": "errors_score",
}


@dataclass(frozen=True)
class Case:
    """One text that a model was put to, and what came of it, in words."""

    text: str
    gold: str
    predicted: str
    score: float  # 1 where it is right, 0 where it is wrong, between where it is partly right (F1 of an answer, say)
    confidence: float | None = None
    loss: float | None = None  # of the gold outcome, in nats
    language: str = ""  # as in "en"; empty where it is not known
    length: int | None = None  # in whatever unit the task counts; without it, characters
    note: str = ""


@dataclass(frozen=True)
class ShownFigure:
    """A figure of all cases; `name` is one of `NAMES`, or words."""

    name: str
    value: float
    low: float | None = None  # the ends of its 95 % interval
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """The mean score of some of the cases, with its 95 % bootstrap interval."""

    name: str
    number: int
    score: float
    low: float | None
    high: float | None


def write_error_page(path: Path | str, name: str, cases: Sequence[Case], **rest: Any) -> Path:
    """Write the page, whole or not at all, and return its path; `rest` is that of `error_page`."""
    write_text(Path(path), error_page(name, cases, **rest))
    return Path(path)


def error_page(
    name: str,
    cases: Sequence[Case],
    *,
    figures: Sequence[ShownFigure] = (),
    per_label: Mapping[str, Score] | None = None,
    confusion: tuple[Sequence[str], Int[np.ndarray, "k k"]] | None = None,
    worst: int = WORST_SHOWN,
    seed: int = 0,
) -> str:
    """The page as HTML, in English and Chinese, without anything from outside.

    `per_label` are the scores of `label_scores` or of `span_scores`; `confusion` the labels and how often each (row) was
    taken for each (column). What is not given is left out. The seed is that of the intervals. Raises TextError where
    there are no cases.
    """
    if not cases:
        raise TextError("there are no cases to show: score at least one text first")
    wrong = [case for case in cases if case.score < 1]
    by_loss = all(case.loss is not None for case in wrong)
    labels, counts = shown_confusion(*confusion) if confusion else ([], np.zeros((0, 0), int))
    generator = np.random.default_rng(seed)
    return rendered(
        source("error_page.html.jinja"),
        name=printable(name),
        texts=len(cases),
        wrong=len(wrong),
        figures=[{**asdict(figure), "name": printable(figure.name)} for figure in figures] or _mean(cases, generator),
        names=NAMES,
        by_length=by_length(cases, generator),
        by_language=by_language(cases, generator),
        per_label=_label_rows(per_label or {}),
        confusion=_shaded(labels, counts),
        all_labels=len(confusion[0]) if confusion else 0,
        mix_ups=mix_ups(*confusion) if confusion else [],
        cases=[_shown(case) for case in worst_first(wrong, by_loss)[:worst]],
        by_loss=by_loss,
    )


def worst_first(cases: Sequence[Case], by_loss: bool) -> list[Case]:
    """By loss, highest first; or by score, lowest first, and of equals those of which the model was surest."""
    if by_loss:
        return sorted(cases, key=lambda case: -(case.loss or 0.0))
    return sorted(cases, key=lambda case: (case.score, -(case.confidence or 0.0)))


def by_length(cases: Sequence[Case], generator: np.random.Generator, groups: int = LENGTH_GROUPS) -> list[Group]:
    """The mean score of groups of like length, about as many cases in each; none where nearly all
    are of one length."""
    lengths = np.array([len(case.text) if case.length is None else case.length for case in cases])
    inner = np.quantile(lengths, np.linspace(0, 1, groups + 1)[1:-1], method="higher")
    edges = np.unique([edge for edge in inner if edge > lengths.min()])
    place = np.searchsorted(edges, lengths, side="right")
    found = []
    for at in range(len(edges) + 1) if len(edges) else ():
        own = np.flatnonzero(place == at)
        shortest, longest = lengths[own].min(), lengths[own].max()
        name = f"{shortest:,}" if shortest == longest else f"{shortest:,}–{longest:,}"
        found.append(_group(name, [cases[int(i)] for i in own], generator))
    return found


def by_language(cases: Sequence[Case], generator: np.random.Generator) -> list[Group]:
    """The mean score of each language, the commonest first; none where no case names one."""
    languages: dict[str, list[Case]] = {}
    for case in cases:
        languages.setdefault(case.language or "und", []).append(case)
    if set(languages) == {"und"}:
        return []
    order = sorted(languages, key=lambda code: (-len(languages[code]), code))
    return [_group(code, languages[code], generator) for code in order]


def shown_confusion(
    labels: Sequence[str], counts: Int[np.ndarray, "k k"], most: int = MOST_IN_CONFUSION
) -> tuple[list[str], Int[np.ndarray, "m m"]]:
    """At most so many labels, those most involved in errors, in their old order, and the counts between them."""
    errors = counts * (1 - np.eye(len(labels), dtype=int))
    involved = np.argsort(-(errors.sum(0) + errors.sum(1)), kind="stable")
    kept = np.sort(involved[:most])
    return [labels[int(i)] for i in kept], counts[np.ix_(kept, kept)]


def mix_ups(
    labels: Sequence[str], counts: Int[np.ndarray, "k k"], most: int = MOST_MIX_UPS
) -> list[tuple[str, str, int, float]]:
    """The most frequent errors: gold label, predicted label, how often, and which share of the gold label's texts."""
    off = counts * (1 - np.eye(len(labels), dtype=int))
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    pairs = [divmod(int(flat), len(labels)) for flat in order]
    return [
        (printable(labels[row]), printable(labels[column]), int(off[row, column]), off[row, column] / counts[row].sum())
        for row, column in pairs
        if off[row, column]
    ]


def _group(name: str, cases: Sequence[Case], generator: np.random.Generator) -> Group:
    scores = np.array([case.score for case in cases], np.float64)
    low, high = ratio_interval(scores, np.ones_like(scores), generator=generator)
    return Group(printable(name), len(cases), float(scores.mean()), low, high)


def _mean(cases: Sequence[Case], generator: np.random.Generator) -> list[dict[str, Any]]:
    whole = _group("score", cases, generator)
    return [{"name": "score", "value": whole.score, "low": whole.low, "high": whole.high}]


def _label_rows(scores: Mapping[str, Score]) -> list[dict[str, Any]]:
    """One row a label, the lowest F1 first; those that never occur last."""
    rows = [
        {"label": printable(label), "gold": score.gold, "predicted": score.predicted, "precision": score.precision,
         "recall": score.recall, "f1": score.f1}
        for label, score in scores.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["f1"] is None, row["f1"] or 0.0, -row["gold"]))


def _shaded(labels: Sequence[str], counts: np.ndarray) -> dict[str, Any]:
    """The confusion as cells, each with its share of the row in percent."""
    sums = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = np.round(100 * counts / sums).astype(int)
    rows = [
        {
            "label": printable(label),
            "cells": [{"count": int(n), "share": int(share)} for n, share in zip(own, percent, strict=True)],
        }
        for label, own, percent in zip(labels, counts, shares, strict=True)
    ]
    return {"labels": printable(list(labels)), "rows": rows}


def _shown(case: Case) -> dict[str, Any]:
    length = len(case.text) if case.length is None else case.length
    text = case.text if len(case.text) <= LONGEST_TEXT else case.text[:LONGEST_TEXT] + " …"
    return printable({**asdict(case), "text": text, "length": length})
