"""`inkstone tune`: a model and examples in, a model that does a task out, in the same run folder as everything else."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkstone.environment import pick_device
from inkstone.errors import RecipeError, RunError
from inkstone.hub.download import local_folder
from inkstone.hub.folder import read_config
from inkstone.hub.whisper import is_whisper
from inkstone.models import body_family
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe, load_recipe
from inkstone.run import TRAINING, Run, is_training
from inkstone.tasks import TASKS, task_class
from inkstone.tasks.base import Task
from inkstone.tasks.parts import dev_beside, of_part
from inkstone.tasks.prefer import Prefer, without_model
from inkstone.text.datasets import PREFIX
from inkstone.training.adapting import adapt
from inkstone.training.opening import check_places, gone_on_with, recipe_of
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
        return _resumed(Run.open(resume), began, line, quiet, watch)
    if task == TRAINING:
        if watch is not None or family or test:
            raise RecipeError(
                "language-modelling goes on with the model of --from, and is scored on text: it takes no --family and no --test "
                "(inkstone eval RUN TEXT), and settings are not searched for it"
            )
        to = {"out": out, "recipe": recipe, "settings": settings, "fresh": fresh, "quiet": quiet, "began": began}
        return adapt(data, model=model, held_out=dev, minutes=minutes, **to)
    if task and task not in TASKS and (task.startswith(PREFIX) or Path(task).exists()):
        raise RecipeError(
            f"the task is missing: inkstone tune TASK {' '.join([task, *map(str, data)])}, where TASK is one of {', '.join(TASKS)}"
        )
    options = [
        ("--minutes", "train.minutes", minutes),
        ("--family", "model.family", family),
        ("--from", "task.model", model),
        ("TASK", "task.name", task or None),
    ]
    chosen = recipe_of(recipe, settings, options, DEFAULT_MINUTES)
    _name_parts(chosen, data, dev, test)
    written = load_recipe(Path(recipe)) if recipe else Recipe()
    _fill_in(chosen, written, [*settings, *(["model.family="] if family else [])])
    check(chosen)
    with new_run(out, chosen, fresh) as run:
        return _tune(run, chosen, began, line, watch, resumed=False)


def check(recipe: Recipe) -> None:
    """Refuse, before any work is done, what could only fail later. Raises RecipeError, TextError, RunError."""
    pick_device(recipe.train.device)
    if recipe.task.model is None and isinstance(task_of(recipe), Prefer):
        raise without_model()
    check_places(recipe)


def _resumed(run: Run, began: float, line: LiveLine, quiet: bool, watch: Watch | None) -> dict[str, Any]:
    """Go on with a run. Raises RunError for one of `inkstone train`."""
    if run.recipe().task.name == TRAINING and not is_training(run.recipe()):
        return adapt(resume=run.folder, quiet=quiet, began=began)
    if is_training(run.recipe()):
        raise RunError(f"{run.folder} is no run of `inkstone tune`; go on with it by `{run.resuming()}`")
    with gone_on_with(run):
        return _tune(run, run.recipe(), began, line, watch, resumed=True)


def _name_parts(recipe: Recipe, data: Sequence[str], dev: Sequence[str], test: Sequence[str]) -> None:
    """Write into a recipe where the examples of each part are. Raises RecipeError where there are none to learn from."""
    text = recipe.text
    if data:
        text.sources = [str(source) for source in data]
    if dev:
        text.held_out_sources = of_part(dev, "valid")
    elif not text.held_out_sources and text.held_out is None:
        text.held_out_sources = dev_beside(text.sources)
    if test:
        text.test_sources = of_part(test, "test")
    if not text.sources:
        raise RecipeError(
            f"tune needs examples: inkstone tune TASK DATA, where TASK is one of {', '.join(TASKS)}, and DATA files of examples"
        )


def _fill_in(recipe: Recipe, written: Recipe, settings: Sequence[str]) -> None:
    """Let the task choose family, settings and tokenizer of its body, where neither the file of the recipe nor a setting says them."""

    def open_is(section: Any, key: str, named: str) -> bool:
        return key not in section.model_fields_set and not any(each.startswith(f"{named}=") for each in settings)

    kind = task_of(recipe)
    if open_is(written.model, "family", "model.family"):
        recipe.model.family = kind.body
    if recipe.task.model is None:
        known = body_family(recipe.model.family).Settings.__dataclass_fields__
        for name, value in kind.body_settings.items():
            if getattr(recipe.model, name) is None and name in known:
                setattr(recipe.model, name, value)
    if open_is(written.tokenizer, "kind", "tokenizer.kind"):
        recipe.tokenizer.kind = getattr(body_family(recipe.model.family), "tokenizer_kind", recipe.tokenizer.kind)


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe, with what the recipe says of it. Raises RecipeError for a setting that it does not have."""
    kind: Any = task_class(recipe.task.name)
    whisper = whisper_of(recipe)
    if whisper is not None:
        from inkstone.tasks.tuned_whisper import TunedWhisper

        kind = TunedWhisper
    given = recipe.task.model_dump(exclude_none=True)
    own = {name: value for name, value in given.items() if name not in OF_TUNING}
    known = kind.__dataclass_fields__
    if unknown := own.keys() - known.keys():
        raise RecipeError(f"task.{min(unknown)}: the task {recipe.task.name!r} has no such setting")
    return kind.of(own) if whisper is None else kind.of(own).begin(whisper)


def whisper_of(recipe: Recipe) -> Path | None:
    """The folder of the Whisper that a recipe tunes on recordings; None where it tunes another model."""
    if recipe.task.name != "transcribe" or recipe.task.model is None:
        return None
    folder = local_folder(recipe.task.model)
    return folder if is_whisper(read_config(folder)) else None


OF_TUNING = (
    "name", "model", "epochs", "rows", "patience", "freeze", "lora_rank", "lora_alpha", "layer_decay", "yardstick",
    "split_seed", "fold", "share",
)  # fmt: skip


def _tune(run: Run, recipe: Recipe, began: float, line: LiveLine, watch: Watch | None, resumed: bool) -> dict[str, Any]:
    """One run, from its recipe to its outcome."""
    with supervised(run, "tune", resumed) as interruption:
        return TuningRun(run, recipe, began, line, interruption, watch, resumed, task_of(recipe)).complete()
