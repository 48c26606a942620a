"""The report of a run that was tuned for a task: its figures beside the yardstick's, the curves, the plan, the data."""

import shlex
from typing import Any

from inkstone.evaluation.curve_plot import curve_plot
from inkstone.evaluation.page import rendered, source
from inkstone.evaluation.record import Record, number, printable
from inkstone.run import Run

ERRORS = "errors.html"  # the error page of the last part that was scored, beside the report
LABELS_SHOWN = 12
NATS = "dev_nats"  # in the journal of a task that is gauged by its loss
AS_IT_BEGAN = "as it began"  # the yardstick of a model that could do the task before
CHAT_TEMPLATE = "chat_template.jinja"


def task_page(run: Run, record: Record) -> str:
    """The report as HTML, of a run that is unfinished of what there is."""
    outcome, evaluation = record.stages["outcome"], record.stages["evaluation"]
    figures, yardstick = _table(evaluation.get("figures")), evaluation.get("yardstick") or {}
    beside = _table(yardstick.get("figures")) if isinstance(yardstick, dict) else {}
    score = str(outcome.get("score", ""))
    last = list(figures)[-1] if figures else ""
    name = str(yardstick.get("name", "")) if isinstance(yardstick, dict) else ""
    parts = [
        {"part": part, "bars": _bars(own.get(score), _table(beside.get(part)).get(score), name)}
        for part, own in figures.items()
        if score in own
    ]
    by_score, by_nats = (_points(run, "held-out", key) for key in (_journal_key(score), NATS))
    details = _table(_table(evaluation.get("details")).get(last))
    return rendered(
        source("task_report.html.jinja"),
        record=record,
        **record.stages,
        name=record.folder.resolve().name,
        folder=shlex.quote(str(record.folder)),
        part=last,
        main=_table(figures.get(last)).get(score),
        parts=parts,
        behind=any(len(each["bars"]) > 1 and not each["bars"][0]["ours"] for each in parts),
        figures=_lines(figures, beside, name),
        errors=ERRORS if (record.folder / ERRORS).exists() else "",
        calibration=number(details.get("calibration_error")),
        temperature=details.get("temperature"),
        loss=curve_plot("seconds", _points(run, "train", "nats"), []),
        score=curve_plot("seconds", [], by_score or by_nats),
        curve_of=score if by_score else "nats",
        chats=(record.folder / CHAT_TEMPLATE).exists(),
        began=name == AS_IT_BEGAN,
        understood=_understood(record.stages["data"]),
    )


def _bars(own: Any, other: Any, name: str) -> list[dict[str, Any]]:
    """The model's figure and the yardstick's, the better one first; a share in percent of the track, else of the largest."""
    known = _table(own)
    values = [number(_table(figure).get(key)) for figure in (own, other) for key in ("value", "high")]
    largest = max([1e-9, *(value for value in values if value is not None)]) if known.get("unit") else 1.0
    bars = []
    for who, figure in (("", known), (name, _table(other))):
        value, low, high = (number(figure.get(key)) for key in ("value", "low", "high"))
        if value is not None:
            low, high = (low, high) if low is not None and high is not None else (None, None)
            ends = (None if end is None else round(100 * max(0.0, end) / largest, 2) for end in (value, low, high))
            bar = {"ours": not who, "name": who, "value": value, "unit": known.get("unit", "")}
            bars.append(bar | dict(zip(("length", "low", "high"), ends, strict=True)))
    return sorted(bars, key=lambda bar: bar["value"] if known.get("lower_is_better") else -bar["value"])


def _lines(figures: dict[str, Any], beside: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The rows of the table of figures: each part, the model's and the yardstick's."""
    names = list(next(iter(figures.values()), {}))
    lines = []
    for part, own in figures.items():
        for who, values in (("", own), (name, _table(beside.get(part)))):
            if values:
                lines.append(
                    {"part": part, "who": who, "names": names, "cells": [_table(values.get(n)) for n in names]}
                )
    return lines


def _points(run: Run, kind: str, key: str) -> list[dict[str, Any]]:
    """The entries of the journal with the figure under the name by which a curve is drawn."""
    entries = (printable(entry) for entry in run.metrics(kind))
    return [{**entry, "bits_per_byte": entry[key]} for entry in entries if number(entry.get(key)) is not None]


def _journal_key(score: str) -> str:
    return score.replace(" ", "_").replace("-", "_").lower()


def _understood(data: Any) -> list[dict[str, Any]]:
    """What each part was understood as, in words."""
    found = []
    for part, each in _table(data).items():
        if not isinstance(each, dict):
            continue
        labels, languages = _table(each.get("labels")), _table(each.get("languages"))
        total = max(1, sum(int(number(count) or 0) for count in labels.values()))
        spoken = max(1, sum(int(number(count) or 0) for count in languages.values()))
        shown = [f"{label} {(number(count) or 0) / total:.1%}" for label, count in list(labels.items())[:LABELS_SHOWN]]
        more = [f"+ {len(labels) - LABELS_SHOWN}"] if len(labels) > LABELS_SHOWN else []
        lengths = [number(value) for value in each.get("characters") or []]
        faults = [
            f"{entry[0]:,} × {reason}: {', '.join(map(str, entry[1:]))}"
            for kind in ("refused", "mended")
            for reason, entry in _table(each.get(kind)).items()
            if isinstance(entry, list) and entry
        ]
        encodings, notices = (
            [str(entry) for entry in value] if isinstance(value, list) else []
            for value in (each.get("encodings"), each.get("notices"))
        )
        found.append(
            {
                "part": part,
                "examples": each.get("examples"),
                "sources": each.get("sources"),
                "columns": " · ".join(f"{role}: {name}" for role, name in _table(each.get("columns")).items()),
                "labels": " · ".join(shown + more),
                "languages": " · ".join(
                    f"{code} {(number(count) or 0) / spoken:.0%}" for code, count in list(languages.items())[:5]
                ),
                "lengths": " – ".join(f"{value:,.0f}" for value in lengths if value is not None),
                "faults": faults + encodings,
                "notices": notices,
            }
        )
    return found


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
