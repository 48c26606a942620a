"""`inkstone tune`: a model and examples in, a model that does a task out, in the same run folder as everything else."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkstone.environment import pick_device
from inkstone.errors import RecipeError, RunError
from inkstone.files import clear_unfinished
from inkstone.models import body_family
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe, load_recipe, with_settings
from inkstone.run import TRAINING, Run, is_training
from inkstone.tasks import TASKS, task_class
from inkstone.tasks.base import Task
from inkstone.tasks.parts import dev_beside, of_part
from inkstone.text.datasets import PREFIX
from inkstone.training.adapting import adapt
from inkstone.training.placing import new_run
from inkstone.training.supervision import supervised
from inkstone.training.tuning_run import DEFAULT_MINUTES, TuningRun, Watch


def tune(
    task: str = "",
    data: Sequence[str] = (),
    *,
    model: str | Path | None = None,
    dev: Sequence[str] = (),
    test: Sequence[str] = (),
    minutes: float | None = None,
    family: str | None = None,
    out: str | Path | None = None,
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    resume: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    began: float | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Tune a model for a task on labelled examples and leave it in a run folder, everything included in `minutes`.

    task: one of `inkstone.tasks.TASKS`, or "language-modelling": `adapting.adapt`. data: files of examples, folders, "data:NAME".
    model: a run or a checkpoint folder to start from; none: a body of its own, of the kind that `family` names.
    dev: examples by which the best weights are chosen; none: the dev part of a data set that is named, or a part of the
    data is kept aside. test: examples that are scored once, at the end; "data:NAME" is the test part of that set. out, recipe, settings, resume, fresh, began: as `train` takes them.
    watch: is told of each score on dev with its step, and may raise to end the run.

    Returns the outcome: folder, figures with intervals on dev and test, the yardstick's beside them, seconds.
    Raises TextError, RecipeError, RunError; `Interrupted` on Ctrl-C and SIGTERM, after the state is saved.
    """
    began = time.perf_counter() if began is None else began
    line = LiveLine(quiet=quiet)
    if resume is not None:
        if any((task, data, model, dev, test, family, recipe, settings, fresh)) or minutes or out is not None:
            raise RecipeError("--resume goes on with a run as it is; give no task, no DATA and no settings beside it")
        run = Run.open(resume)
        if run.recipe().task.name == TRAINING and not is_training(run.recipe()):
            return adapt(resume=resume, quiet=quiet, began=began)
        if is_training(run.recipe()):
            raise RunError(f"{run.folder} is no run of `inkstone tune`; go on with it by `{run.resuming()}`")
        with run.claimed():
            clear_unfinished(run.folder)
            return _tune(run, run.recipe(), began, line, watch, resumed=True)
    if task == TRAINING:
        if watch is not None or family or test:
            raise RecipeError(
                "language-modelling goes on with the model of --from, and is scored on text: it takes no --family and no --test "
                "(inkstone eval RUN TEXT), and settings are not searched for it"
            )
        return adapt(
            data,
            model=model,
            held_out=dev,
            minutes=minutes,
            out=out,
            recipe=recipe,
            settings=settings,
            fresh=fresh,
            quiet=quiet,
            began=began,
        )
    if task and task not in TASKS and (task.startswith(PREFIX) or Path(task).exists()):
        raise RecipeError(
            f"the task is missing: inkstone tune TASK {' '.join([task, *map(str, data)])}, where TASK is one of {', '.join(TASKS)}"
        )
    written = load_recipe(Path(recipe)) if recipe else Recipe()
    named = family or "family" in written.model.model_fields_set or any(s.startswith("model.family=") for s in settings)
    chosen = with_settings(written, settings)
    for option, setting, value in (
        ("--minutes", "train.minutes", minutes),
        ("--family", "model.family", family),
        ("--from", "task.model", None if model is None else str(model)),
        ("TASK", "task.name", task or None),
    ):
        if value is not None:
            chosen = with_settings(chosen, [f"{setting}={value}"], option)
    if data:
        chosen.text.sources = [str(source) for source in data]
    if dev:
        chosen.text.held_out_sources = of_part(dev, "valid")
    elif not chosen.text.held_out_sources and chosen.text.held_out is None:
        chosen.text.held_out_sources = dev_beside(chosen.text.sources)
    if test:
        chosen.text.test_sources = of_part(test, "test")
    if chosen.train.minutes is None and chosen.train.steps is None:
        chosen.train.minutes = DEFAULT_MINUTES
    if not chosen.text.sources:
        raise RecipeError(
            f"tune needs examples: inkstone tune TASK DATA, where TASK is one of {', '.join(TASKS)}, and DATA files of examples"
        )
    kind = task_of(chosen)
    if not named:
        chosen.model.family = kind.body
    if chosen.task.model is None:
        for name, value in kind.body_settings.items():
            if getattr(chosen.model, name) is None:
                setattr(chosen.model, name, value)
    if "kind" not in written.tokenizer.model_fields_set and not any(s.startswith("tokenizer.kind=") for s in settings):
        chosen.tokenizer.kind = getattr(body_family(chosen.model.family), "tokenizer_kind", chosen.tokenizer.kind)
    pick_device(chosen.train.device)
    with new_run(out, chosen, fresh) as run:
        return _tune(run, chosen, began, line, watch, resumed=False)


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe, with what the recipe says of it. Raises RecipeError for a setting that it does not have."""
    kind = task_class(recipe.task.name)
    given = recipe.task.model_dump(exclude_none=True)
    own = {name: value for name, value in given.items() if name not in OF_TUNING}
    known = kind.__dataclass_fields__
    if unknown := own.keys() - known.keys():
        raise RecipeError(f"task.{min(unknown)}: the task {recipe.task.name!r} has no such setting")
    return kind.of(own)


OF_TUNING = (
    "name", "model", "epochs", "rows", "patience", "freeze", "lora_rank", "lora_alpha", "layer_decay", "yardstick",
    "split_seed", "fold", "share",
)  # fmt: skip


def _tune(run: Run, recipe: Recipe, began: float, line: LiveLine, watch: Watch | None, resumed: bool) -> dict[str, Any]:
    """One run, from its recipe to its outcome."""
    with supervised(run, "tune", resumed) as interruption:
        return TuningRun(run, recipe, began, line, interruption, watch, resumed, task_of(recipe)).complete()
