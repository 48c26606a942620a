"""A language model for a run that transcribes already: kept in its folder, its weights chosen on dev; the run learns nothing new."""

import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from inkstone.errors import RunError
from inkstone.evaluation.report import report as write_report
from inkstone.files import whole_folder, write_json
from inkstone.hub.folder import read_config
from inkstone.run import Run
from inkstone.tasks.fused_language import keep_language_model
from inkstone.tasks.predict import Predictor
from inkstone.tasks.transcribe import LANGUAGE, SCORE, Transcribe
from inkstone.tasks.understanding import Understanding


def fuse_language_model(
    run: Path | str, language_model: Path | str, dev: Sequence[str | Path], *, device: str = "auto"
) -> dict[str, Any]:
    """Let a language model listen in from now on. One that did so before is replaced.

    dev: manifests by which its weights are chosen. Returns them, and the word accuracy on dev without and with it, which the report and
    the model card say, too. The model lies in a folder of its own until config.json names it: whoever asks the run in the meantime, or
    after this was cut short, asks it as it was.
    Raises RunError for a run that does not transcribe, RecipeError for a model that is no language model, TextError for `dev`.
    """
    folder = Path(run)
    predictor = Predictor.load(folder, device)
    task = predictor.task
    if not isinstance(task, Transcribe):
        raise RunError(
            f"{folder} was tuned for the task {task.name}; a language model listens in where speech is transcribed"
        )
    sources = [str(source) for source in dev]
    examples = task.read(sources, Understanding("dev", sources))
    outputs = predictor.outputs(examples)
    task.fusion = None
    alone = task.measures(examples, predictor.answers_of(examples, outputs))[SCORE].value
    name = next(name for n in count(1) if not (folder / (name := LANGUAGE if n == 1 else f"{LANGUAGE}-{n}")).exists())
    with whole_folder(folder / name) as part:
        keep_language_model(str(language_model), part)
    task.language_model, task.alpha, task.beta, task.lines = str(language_model), None, None, None
    task.language_folder = name
    task.open_beside(folder)
    task.settle(examples, outputs)
    together = task.measures(examples, predictor.answers_of(examples, outputs))[SCORE].value
    config = read_config(folder)
    config["task"] |= task.to_dict()
    write_json(folder / "config.json", config)
    for other in (LANGUAGE, *(each.name for each in folder.glob(f"{LANGUAGE}-*"))):
        if other != name:
            shutil.rmtree(folder / other, ignore_errors=True)
    weights = {"alpha": task.alpha, "beta": task.beta, "lines": task.lines}
    found = {**weights, "dev": {"alone": alone, "together": together}}
    Run(folder).record(fusion={**found, "model": str(language_model), "sources": sources})
    write_report(folder)
    return found
