"""`inkstone eval`: a language model on text, or a model that was tuned for a task on examples."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import RunError, TextError
from inkstone.evaluation import evaluate
from inkstone.evaluation.figure_words import SHARE
from inkstone.evaluation.intervals import figure_interval
from inkstone.hub.bert_tasks import is_task
from inkstone.hub.download import local_folder
from inkstone.hub.folder import read_config
from inkstone.hub.headed_layout import is_headed, task_beside
from inkstone.hub.whisper import is_whisper
from inkstone.run import Run
from inkstone.tasks import task_class
from inkstone.tasks.base import Measure
from inkstone.tasks.learned_from import notice_learned
from inkstone.tasks.predict import Predictor
from inkstone.tasks.understanding import Understanding
from inkstone.text.records import read_records
from inkstone.text.sources import check_there

LOOKED_AT = 20  # records, by which it is told whether a file holds examples


def eval(
    run: Path | str, text: Sequence[str | Path] | None = None, *, seed: int = 0, device: str = "auto", **how: Any
) -> dict[str, Any]:
    """Score a run: of a language model as `evaluation.evaluate.eval` does, which takes `how`; of a task on labelled examples.

    `text` names the examples of a task in the form it was trained on; none: the part kept aside, as the run recorded it.
    What is doubtful in the examples, and which of them the run learned from, stands in `understood`.
    """
    check_there(text or ())
    if not is_tuned(run, text):
        return evaluate.eval(run, text, seed=seed, device=device, **how)
    if not text:
        folder = local_folder(run)
        config = read_config(folder)
        foreign = is_task(config) or (is_whisper(config) and task_beside(folder) is None)
        facts = {} if foreign else Run(folder).facts().get("evaluation")
        if not facts:
            raise RunError(f"{run} has no figures of its own; name examples to score it on: inkstone eval {run} DATA")
        return {"run": str(run), "text": "held-out", **facts}
    predictor = Predictor.load(run, device)
    understanding = Understanding("data", [str(source) for source in text])
    examples = predictor.task.read(understanding.sources, understanding)
    if predictor.task.labels and understanding.labels and not understanding.labels.keys() & set(predictor.task.labels):
        raise TextError(
            f"{understanding.sources[0]}: its labels ({_some(understanding.labels)}) are none of those that {run} gives "
            f"({_some(predictor.task.labels)})"
        )
    answers = predictor.answers(examples)
    understanding.notice_cut(predictor.cut, predictor.frame.context)
    notice_learned(local_folder(run), predictor.task, examples, understanding)
    return {
        "run": str(run),
        "text": understanding.sources,
        "task": predictor.task.name,
        "examples": len(examples),
        "figures": figures_of(predictor.task.measures(examples, answers), seed),
        "understood": understanding.to_dict(),
    }


def is_tuned(run: Path | str, text: Sequence[str | Path] | None = None) -> bool:
    """Whether a run, or a checkpoint of others, was tuned for a task. Raises RunError for a folder that is no model.

    One that was tuned to converse stays a language model: on `text` that holds no examples of its task it is scored as such.
    """
    folder = local_folder(run)
    config = read_config(folder)
    written = task_beside(folder)
    if written is None or not text or is_whisper(config):
        return is_headed(config) or is_task(config) or is_whisper(config) or written is not None
    reads = task_class(str(written.get("name"))).reads
    try:
        return any(reads(record.values) for record in islice(read_records(text), LOOKED_AT))
    except TextError:
        return False


def _some(labels: Iterable[str], most: int = 5) -> str:
    names = sorted(labels)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def figures_of(measures: Mapping[str, Measure], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Each figure with its bootstrap interval over the examples, as `evaluation/figure_words.py` tells it."""
    figures: dict[str, dict[str, Any]] = {}
    for name, measure in measures.items():
        low, high = figure_interval(measure.statistics, measure.figure, generator=np.random.default_rng(seed))
        figures[name] = {"value": measure.value, "low": low, "high": high}
        if measure.unit != SHARE:
            figures[name] |= {"unit": measure.unit, "lower_is_better": measure.lower_is_better}
    return figures
