"""The error page of a task: its mistakes on a part, worst first, and its figures by label, length and language."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.evaluation.error_page import Case, ShownFigure, write_error_page
from inkstone.evaluation.label_scores import Score
from inkstone.tasks.base import Answer, Task
from inkstone.tasks.understanding import languages_of


def write_errors(
    path: Path,
    name: str,
    task: Task,
    examples: Sequence[Any],
    answers: Sequence[Answer],
    figures: Mapping[str, Mapping[str, float | None]],
    details: Mapping[str, Any],
) -> Path:
    """Write the page of one part and return its path. `figures` and `details` are those of the part."""
    mistakes = task.mistakes(examples, answers)
    languages = languages_of([example.text for example in examples])
    cases = [
        Case(
            text=each["text"],
            gold=each["gold"],
            predicted=each["predicted"],
            score=float(each.get("score", each["right"])),
            confidence=each.get("confidence"),
            loss=each.get("loss"),
            language="" if language == "und" else language,
            note=each.get("place", ""),
        )
        for each, language in zip(mistakes, languages, strict=True)
    ]
    labels = {
        label: Score(own["correct"], own["given"], own["gold"]) for label, own in details.get("labels", {}).items()
    }
    confusion = details.get("confusion")
    return write_error_page(
        path,
        name,
        cases,
        figures=[
            ShownFigure(key, figure["value"] or 0.0, figure["low"], figure["high"]) for key, figure in figures.items()
        ],
        per_label=labels or None,
        confusion=(confusion["labels"], np.array(confusion["counts"])) if confusion else None,
    )
