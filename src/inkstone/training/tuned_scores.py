"""What a tuned model is worth: how long its scores will take, the scores before the first step, and the outcome of the run."""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from inkstone.evaluation.report import report as write_report
from inkstone.evaluation.task_report import ERRORS
from inkstone.run import Run
from inkstone.tasks.base import (
    Answer,
    AsksBeside,
    DoesSoFromTheStart,
    GaugedByLoss,
    HasDetails,
    SettlesOnDev,
    Task,
)
from inkstone.tasks.errors import write_errors
from inkstone.tasks.parts import Parts
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import figures_of

SCORED_FIRST = 24  # examples by which the seconds of scoring are told
SCORED_NEXT = 240  # where those take long: a batch of many costs less for each of them


def seconds_of_scoring(predictor: Predictor, parts: Parts, folder: Path, rough_below: float = 0.0) -> float:
    """How long the final scores of dev and test will take, by a few examples of both; below so many seconds a rough number serves.

    `folder`: of the run, where a second model may lie, which will be asked, too. A model that has learned nothing writes as much as it may, one that has learned about as much as the right texts have.
    """
    scored = [example for examples in parts.scored().values() for example in examples]
    predictor = with_all_voices(predictor, folder)
    passes = getattr(predictor.task, "passes_to_settle", 1)
    settling = passes * len(parts.dev) if isinstance(predictor.task, SettlesOnDev) else 0
    seconds = 0.0
    for asked in (SCORED_FIRST, SCORED_NEXT):
        some = scored[:: max(1, len(scored) // asked)]
        begin = time.perf_counter()
        predictor.answers(some)
        each = (time.perf_counter() - begin) / len(some)
        seconds = each * share_that_is_written(predictor, some) * (len(scored) + settling)
        if seconds <= rough_below:
            break
    return seconds


def with_all_voices(predictor: Predictor, folder: Path) -> Predictor:
    """The model as it will be asked in the end, with what is asked beside it; the predictor that is given stays as it is."""
    if not isinstance(predictor.task, AsksBeside):
        return predictor
    asked = copy(predictor)
    asked.task = copy(predictor.task)
    asked.task.open_beside(folder)
    return asked


def share_that_is_written(predictor: Predictor, examples: Sequence[Any]) -> float:
    """How much of the longest text that a task may write the longest right one is; 1 where it writes none."""
    longest = getattr(predictor.task, "longest", 0)
    if not isinstance(predictor.task, GaugedByLoss) or not longest:
        return 1.0
    taught = predictor.taught(examples)
    written = [len(encoded.written) for encoded in taught if encoded.written is not None]
    written += [int(encoded.answers.sum()) for encoded in taught if encoded.answers is not None]
    return min(1.0, max(written, default=longest) / longest)


def scores_before(predictor: Predictor, parts: Parts, seed: int) -> dict[str, Any]:
    """Name, figures and seconds of a yardstick that is the model itself, as it is before its first step."""
    task = predictor.task
    assert isinstance(task, DoesSoFromTheStart)
    began = time.perf_counter()
    figures = {
        part: figures_of(task.measures(examples, predictor.answers(examples)), seed)
        for part, examples in parts.scored().items()
    }
    return {"name": task.as_it_began(), "figures": figures, "seconds": time.perf_counter() - began}


def record_outcome(
    run: Run,
    task: Task,
    parts: Parts,
    answers: Mapping[str, Sequence[Answer]],
    yardstick: dict[str, Any] | None,
    seed: int,
    seconds: Callable[[], float],
) -> dict[str, Any]:
    """Record what the `answers` to each scored part come to, with the page of errors and the report; returns the outcome."""
    scored = parts.scored()
    figures = {part: figures_of(task.measures(examples, answers[part]), seed) for part, examples in scored.items()}
    details = {}
    if isinstance(task, HasDetails):
        details = {part: task.details(examples, answers[part]) for part, examples in scored.items()}
    training = run.facts()["training"]
    outcome = {
        "folder": str(run.folder),
        "task": task.name,
        "score": task.score,
        "figures": figures,
        "yardstick": yardstick,
        "examples": {part: len(examples) for part, examples in (("train", parts.train), *scored.items())},
        **{name: training[name] for name in ("parameters", "steps", "epochs", "tokens")},
        "seconds": seconds(),
    }
    run.record(evaluation={"figures": figures, "yardstick": yardstick, "details": details}, outcome=outcome)
    part, examples = list(scored.items())[-1]
    title = f"{run.folder.resolve().name}: {part}"
    write_errors(run.folder / ERRORS, title, task, examples, answers[part], figures[part], details.get(part, {}))
    write_report(run.folder)
    return outcome
