"""`inkstone tune` more than once: cross-validation, several seeds, and the curve over the size of the data.

    --folds 5            each fifth of the examples once the test part, learned on the rest: every example is scored by a model
                         that has not seen it
    --seeds 3            the same data with other random draws: how much of a figure is luck
    --learning-curve     an eighth, a quarter, a half and all of the training part: whether more examples would help

Every repetition is a run folder of its own; the same command again goes on where it was broken off.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import RecipeError, RunError
from inkstone.files import write_json
from inkstone.recipe import load_recipe
from inkstone.run import TRAINING, Run
from inkstone.studies.repeat_page import repeat_page
from inkstone.tasks.base import Measure
from inkstone.tasks.parts import read_parts
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import figures_of
from inkstone.training import tuning

SHARES = (0.125, 0.25, 0.5, 1.0)


def tune(
    task: str = "",
    data: Sequence[str] = (),
    *,
    folds: int | None = None,
    seeds: int | None = None,
    learning_curve: bool = False,
    out: str | Path | None = None,
    settings: Sequence[str] = (),
    quiet: bool = False,
    **how: Any,
) -> dict[str, Any]:
    """Tune a model for a task once, as `training.tuning.tune` does, which takes `how`; or several times.

    folds: k, for k-fold cross-validation, stratified by label, with near-duplicates and groups kept together.
    seeds: so many runs that differ in their random draws alone. learning_curve: runs on growing shares of the examples.
    Each takes the minutes that are given.

    Returns the outcome of the one run; else a table: one row a run, and the mean, deviation and, of folds, the figure of all
    examples together with its interval. Raises RecipeError, TextError, RunError.
    """
    asked = [folds is not None, seeds is not None, learning_curve]
    if not any(asked):
        return tuning.tune(task, data, out=out, settings=settings, quiet=quiet, **how)
    if sum(asked) > 1:
        raise RecipeError("--folds, --seeds and --learning-curve are studies of their own; ask for one at a time")
    if task == TRAINING:
        raise RecipeError("--folds, --seeds and --learning-curve are for tasks on examples, not for language-modelling")
    if how.get("resume") is not None:
        raise RecipeError("--resume is for one run; a study goes on when its command is given again")
    kind, variants = _variants(folds, seeds, how.get("test") or ())
    folder = Path(out) if out is not None else Path("runs") / f"{task}-{kind}"
    how.pop("began", None)  # each has the minutes from its own beginning
    runs = [_run(task, data, folder / name, [*settings, *more], quiet, how) for name, more in variants]
    table = _table(kind, folder, [name for name, _ in variants], runs)
    write_json(folder / "study.json", table)
    repeat_page(folder, table)
    return table


def _variants(folds: int | None, seeds: int | None, test: Sequence[str]) -> tuple[str, list[tuple[str, list[str]]]]:
    """What the study is called, and the settings of each of its runs."""
    if folds is not None:
        if folds < 2:
            raise RecipeError(f"--folds {folds}: cross-validation needs two folds at least")
        if test:
            raise RecipeError("--folds scores every example of the data itself; name no --test beside it")
        return "folds", [(f"fold-{number}", [f"task.fold={number}/{folds}"]) for number in range(1, folds + 1)]
    if seeds is not None:
        if seeds < 2:
            raise RecipeError(f"--seeds {seeds}: two runs at least show what is luck")
        return "seeds", [(f"seed-{seed}", [f"train.seed={seed}"]) for seed in range(seeds)]
    return "curve", [(f"share-{share:g}", [f"task.share={share}"]) for share in SHARES]


def _run(
    task: str, data: Sequence[str], folder: Path, settings: Sequence[str], quiet: bool, how: Mapping[str, Any]
) -> dict[str, Any]:
    """The outcome of one run: taken as it is where it ended before, gone on with where it was broken off."""
    if (folder / "recipe.toml").exists():
        before = load_recipe(folder / "recipe.toml")
        if before.task.name != task or before.text.sources != [str(source) for source in data]:
            raise RunError(f"{folder} holds a run on something else; choose another --out, or delete it")
        return tuning.tune(resume=folder, quiet=quiet)
    return tuning.tune(task, data, out=folder, settings=settings, quiet=quiet, **how)


def _table(kind: str, folder: Path, names: Sequence[str], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    part = "test" if all("test" in run["figures"] for run in runs) else "dev"
    rows = [
        {
            "name": name,
            "figures": run["figures"][part],
            "yardstick": (run["yardstick"] or {}).get("figures", {}).get(part),
            "examples": run["examples"],
            "seconds": run["seconds"],
            "folder": run["folder"],
        }
        for name, run in zip(names, runs, strict=True)
    ]
    values = {name: [row["figures"][name]["value"] for row in rows] for name in rows[0]["figures"]}
    table = {
        "study": kind,
        "task": runs[0]["task"],
        "score": runs[0]["score"],
        "part": part,
        "folder": str(folder),
        "rows": rows,
        "mean": {name: statistics.mean(each) for name, each in values.items()},
        "deviation": {name: statistics.stdev(each) for name, each in values.items()},
        "yardstick": (runs[0]["yardstick"] or {}).get("name"),
    }
    if kind == "folds":
        table["together"] = figures_of(_together([row["folder"] for row in rows]))
    return table


def _together(folders: Sequence[str]) -> dict[str, Measure]:
    """The measures of all examples, each answered by the model of the fold that it was kept out of."""
    found: dict[str, list[Measure]] = {}
    for folder in folders:
        predictor = Predictor.load(folder)
        examples = read_parts(tuning.task_of(Run(folder).recipe()), Run(folder).recipe()).test
        for name, measure in predictor.task.measures(examples, predictor.answers(examples)).items():
            found.setdefault(name, []).append(measure)
    # A measure by label can be added up only where all folds know the same labels.
    return {
        name: replace(measures[0], statistics=np.concatenate([each.statistics for each in measures]))
        for name, measures in found.items()
        if len({each.statistics.shape[1:] for each in measures}) == 1
    }
