"""`inkstone search-settings`: which settings tune a task best? Trials by Optuna's tree-structured Parzen estimator.

Each trial is a run of `tune` in a folder of its own. A trial that after as many scores is worse than the middle one of those before
it is given up. The study is kept in OUT/search.journal, so that the same command goes on with a search that was broken off.

Trials are compared on dev alone; the best one's figure there was chosen, and flatters. Score it on a test part afterwards.
Sources: Bergstra et al. 2011 (TPE); Akiba et al. 2019 (Optuna).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkstone.errors import Interrupted, MissingExtraError, RecipeError, RunError
from inkstone.files import write_json
from inkstone.progress import LiveLine
from inkstone.run import Run
from inkstone.studies.search_page import search_page
from inkstone.studies.search_space import Choosable, choosable, setting
from inkstone.training.tuning import tune

DEFAULT_MINUTES = 1.0  # of each trial
DEFAULT_CHOICES = ("train.learning_rate=1e-4..1e-2", "model.width=64|128|192", "task.dropout=0.0..0.5")
TRIALS_BEFORE_GIVING_UP = 4


class GivenUp(Exception):
    """A trial that promises nothing."""


def search_settings(
    task: str,
    data: Sequence[str],
    *,
    trials: int = 20,
    choose: Sequence[str] = (),
    minutes: float | None = None,
    model: str | Path | None = None,
    family: str | None = None,
    dev: Sequence[str] = (),
    out: str | Path | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Tune with different settings, each time for `minutes` at most (default 1), and say which did best on dev.

    choose: settings with a range ("train.learning_rate=1e-4..1e-2") or values ("model.width=64|128"); by default learning
    rate, width and dropout. settings: those that hold for every trial; the rest as `tune` takes it.
    out: the folder of the trials, by default runs/search-TASK; a search that lies there is gone on with.

    Returns the trials, the best first, with settings, score and folder; the same as search.json and search.html in `out`.
    Raises RecipeError, TextError, RunError; MissingExtraError without Optuna.
    """
    optuna = _optuna()
    space = [choosable(each) for each in choose or DEFAULT_CHOICES]
    if trials < 1:
        raise RecipeError(f"trials = {trials}, but must be at least 1")
    if minutes is None and not any(each.startswith("train.steps=") for each in settings):
        minutes = DEFAULT_MINUTES
    folder = Path(out) if out is not None else Path("runs") / f"search-{task}"
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"task": task, "data": list(data), "choose": [*(choose or DEFAULT_CHOICES)], "settings": list(settings)}
    study = _study(optuna, folder, asked, seed)
    line = LiveLine(quiet=quiet)
    done = [trial for trial in study.trials if trial.state.is_finished() and trial.state.name != "FAIL"]
    fixed: dict[str, Any] = {"model": model, "family": family, "dev": dev, "minutes": minutes}
    for _ in range(len(done), trials):
        trial = study.ask()
        chosen = [setting(each.name, _drawn(trial, each)) for each in space]
        line.say(f"trial {trial.number}: {', '.join(chosen)}")
        run = folder / f"trial-{trial.number:03d}"

        def watch(step: int, score: float, trial: Any = trial) -> None:
            trial.report(score, step)
            if trial.should_prune():
                raise GivenUp

        try:
            outcome = tune(
                task, data, **fixed, out=run, settings=[*settings, *chosen, "task.yardstick=false"], quiet=True,
                fresh=True, watch=watch,
            )  # fmt: skip
        except GivenUp:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            line.say(f"trial {trial.number}: given up")
            continue
        except (Interrupted, KeyboardInterrupt):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise Interrupted(f"stopped; the same command goes on with {folder}") from None
        except Exception:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        figure = outcome["figures"]["dev"][outcome["score"]]
        score = -figure["value"] if figure.get("lower_is_better") else figure["value"]
        study.tell(trial, score)
        line.say(f"trial {trial.number}: {outcome['score']} {score:.4f}")
    table = _table(study, folder, asked, space)
    write_json(folder / "search.json", table)
    search_page(folder, table)
    return table


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "search", "search-settings") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(optuna: Any, folder: Path, asked: dict[str, Any], seed: int) -> Any:
    """The study of the folder. Raises RunError where another search lies there."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / "search.journal")))
    known = {each.study_name for each in storage.get_all_studies()}
    study = optuna.create_study(
        storage=storage,
        study_name="search",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_GIVING_UP, n_warmup_steps=0),
    )
    if known and study.user_attrs.get("asked") != asked:
        raise RunError(f"{folder} holds a search for something else; choose another --out, or delete it")
    study.set_user_attr("asked", asked)
    # The draws of a search that goes on are not those that it began with.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _drawn(trial: Any, each: Choosable) -> Any:
    if each.values:
        return trial.suggest_categorical(each.name, list(each.values))
    if each.whole:
        return trial.suggest_int(each.name, each.low, each.high, log=each.logarithmic)
    return trial.suggest_float(each.name, each.low, each.high, log=each.logarithmic)


def _of_figure(outcome: dict[str, Any]) -> dict[str, Any]:
    """How the score is told; one of which less is better stands in the table with its sign turned."""
    figure = outcome.get("figures", {}).get("dev", {}).get(outcome.get("score"), {})
    return {"unit": figure.get("unit", ""), "lower_is_better": bool(figure.get("lower_is_better"))}


def _table(study: Any, folder: Path, asked: dict[str, Any], space: Sequence[Choosable]) -> dict[str, Any]:
    rows = []
    for trial in study.trials:
        state = trial.state.name
        if state not in ("COMPLETE", "PRUNED"):
            continue
        seen = list(trial.intermediate_values.values())
        run = folder / f"trial-{trial.number:03d}"
        rows.append(
            {
                "number": trial.number,
                "settings": trial.params,
                "given_up": state == "PRUNED",
                "score": trial.value if state == "COMPLETE" else max(seen, default=None),
                "seconds": trial.duration.total_seconds() if trial.duration else None,
                "folder": str(run),
            }
        )
    if not any(not row["given_up"] for row in rows):
        raise RunError(f"{folder}: no trial came to its end")
    rows.sort(key=lambda row: (row["given_up"], -(row["score"] if row["score"] is not None else float("-inf"))))
    best = rows[0]
    outcome = Run(best["folder"]).facts().get("outcome", {})
    return {
        "folder": str(folder),
        **asked,
        "names": [each.name for each in space],
        "logarithmic": [each.name for each in space if each.logarithmic],
        "score": outcome.get("score", "score"),
        **_of_figure(outcome),
        "best": best,
        "trials": rows,
    }
