"""A language model for a run that transcribes already: kept in its folder, its weights chosen on dev; the run learns nothing new."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkstone.errors import RunError
from inkstone.files import whole_folder, write_json
from inkstone.hub.folder import read_config
from inkstone.tasks.fused_language import keep_language_model
from inkstone.tasks.predict import Predictor
from inkstone.tasks.transcribe import LANGUAGE, SCORE, Transcribe
from inkstone.tasks.understanding import Understanding


def fuse_language_model(
    run: Path | str, language_model: Path | str, dev: Sequence[str | Path], *, device: str = "auto"
) -> dict[str, Any]:
    """Let a language model listen in from now on. One that did so before is replaced.

    dev: manifests by which its weights are chosen. Returns them, and the word accuracy on dev without and with it.
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
    with whole_folder(folder / LANGUAGE) as part:
        keep_language_model(str(language_model), part)
    task.language_model, task.alpha, task.beta, task.lines = str(language_model), None, None, None
    task.open_beside(folder)
    task.settle(examples, outputs)
    together = task.measures(examples, predictor.answers_of(examples, outputs))[SCORE].value
    config = read_config(folder)
    config["task"] |= task.to_dict()
    write_json(folder / "config.json", config)
    return {"alpha": task.alpha, "beta": task.beta, "lines": task.lines, "dev": {"alone": alone, "together": together}}
