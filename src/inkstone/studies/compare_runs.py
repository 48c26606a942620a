"""`inkstone compare RUN1 RUN2 --on DATA`: is one run better than another, or was it luck?

Both answer the same examples, or foresee the same documents, and are compared pair by pair: the difference of each figure
with its 95 % interval, and the chance that a coin which decides for each example which of the two said what would lead to a
difference as large (the paired permutation test, `evaluation/significance.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import RunError
from inkstone.evaluation.evaluate import texts_of, window_of
from inkstone.evaluation.intervals import difference_interval, ratio
from inkstone.evaluation.likelihood import score
from inkstone.evaluation.significance import mcnemar_test, permutation_test
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.tasks.base import Measure
from inkstone.tasks.learned_from import notice_learned
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import is_tuned
from inkstone.tasks.understanding import Understanding


def compare_runs(
    runs: Sequence[str | Path], on: Sequence[str], *, device: str = "auto", seed: int = 0
) -> dict[str, Any]:
    """The figures of two runs of one task, or of two language models, on the same data, with the tests of their difference.

    `on` names labelled examples, or for language models text. `notices` in what comes back say what of it a run learned from, as
    `inkstone eval` does. Raises RunError where the two cannot be compared.
    """
    if len(runs) != 2:
        raise RunError(f"--on compares two runs, not {len(runs)}: inkstone compare RUN1 RUN2 --on DATA")
    tuned = [is_tuned(run, on) for run in runs]
    if tuned[0] != tuned[1]:
        raise RunError(f"{runs[tuned.index(True)]} was tuned for a task and {runs[tuned.index(False)]} was not")
    notices: list[str] = []
    if tuned[0]:
        first, second = (_task_measures(run, on, device, notices) for run in runs)
    else:
        first, second = (_likelihood(run, on, device) for run in runs)
    rows = []
    for name in first:
        if name not in second:
            continue
        one, other = first[name], second[name]
        if len(one.statistics) != len(other.statistics):
            raise RunError(
                f"{runs[0]} and {runs[1]} do not read the same of {', '.join(on)}: {len(one.statistics):,} and "
                f"{len(other.statistics):,} units; they are of different tasks or settings"
            )
        if one.statistics.shape == other.statistics.shape:  # a mean over labels is of others where a run knows others
            rows.append(_row(name, one, other, seed))
    if not rows:
        raise RunError(f"{runs[0]} and {runs[1]} have no figure in common: they are of different tasks")
    return {
        "runs": [str(run) for run in runs],
        "on": list(on),
        "units": len(first[rows[0]["name"]].statistics),
        "rows": rows,
        "notices": notices,
    }


def _row(name: str, one: Measure, other: Measure, seed: int) -> dict[str, Any]:
    low, high = difference_interval(one.statistics, other.statistics, one.figure, generator=np.random.default_rng(seed))
    test = permutation_test(one.statistics, other.statistics, one.figure, generator=np.random.default_rng(seed))
    row = {"name": name, "values": [one.value, other.value], "difference": test.difference, "low": low, "high": high}
    row |= {"p": test.p, "permutations": test.permutations, "exact": test.exact}
    if _is_right_or_wrong(one.statistics) and _is_right_or_wrong(other.statistics):
        row["mcnemar"] = asdict(mcnemar_test(one.statistics[:, 0] > 0, other.statistics[:, 0] > 0))
    return row


def _is_right_or_wrong(statistics: np.ndarray) -> bool:
    """Whether each unit is one thing that is right or wrong: statistics (0 or 1, 1)."""
    return (
        statistics.ndim == 2
        and statistics.shape[1] == 2
        and bool((statistics[:, 1] == 1).all() and np.isin(statistics[:, 0], (0, 1)).all())
    )


def _task_measures(run: str | Path, on: Sequence[str], device: str, notices: list[str]) -> Mapping[str, Measure]:
    predictor = Predictor.load(run, device)
    understanding = Understanding("data", list(on))
    examples = predictor.task.read(understanding.sources, understanding)
    told = len(understanding.notices)
    notice_learned(local_folder(run), predictor.task, examples, understanding)
    notices += [f"{run}: {notice}" for notice in understanding.notices[told:]]
    return predictor.task.measures(examples, predictor.answers(examples))


def _likelihood(run: str | Path, on: Sequence[str], device: str) -> Mapping[str, Measure]:
    """Bits per byte, a document a unit."""
    model = load(run, device=device)
    documents = model.tokenizer.encode_batch(texts_of(on))
    found = score(model, [ids for ids in documents if len(ids)], window=window_of(model))
    return {"bits per byte": Measure(np.stack([found.nats / np.log(2), found.bytes], axis=1), ratio)}
