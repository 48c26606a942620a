"""What is kept of a tuning run: the model with its task, in the layout that it is opened by."""

from typing import Any

from inkstone.files import write_json
from inkstone.hub.conversing_layout import save_conversing
from inkstone.hub.download import local_folder
from inkstone.hub.export import save_whisper
from inkstone.hub.headed_layout import TASK, save_headed
from inkstone.hub.peft_layout import ADAPTER
from inkstone.layers.lora import merge_lora
from inkstone.models.whisper import Whisper
from inkstone.progress import LiveLine
from inkstone.recipe import TaskSection
from inkstone.run import Run
from inkstone.tasks.base import AsksBeside, KeepsReference, ReadsByTemplate, SettlesOnDev, Task
from inkstone.tasks.predict import Predictor
from inkstone.training.what_learns import keep_changes


def keep_tuned(
    run: Run, task: Task, section: TaskSection, predictor: Predictor, dev: list[Any], line: LiveLine
) -> None:
    """Save the trained model with its task, which settles by dev what it has to settle; `section` is that of the recipe."""
    model = predictor.model.float()
    if section.lora_rank and section.model is not None:
        line.say(keep_changes(model, run.folder / ADAPTER, section.model))
    merge_lora(model)
    if isinstance(task, AsksBeside):
        task.open_beside(run.folder)
    if isinstance(task, SettlesOnDev) and getattr(task, "passes_to_settle", 1):
        task.settle(dev, predictor.outputs(dev))
    kept = task.kept_in(run.folder) if isinstance(task, KeepsReference) else task.to_dict()
    described = {"name": task.name, "context": predictor.frame.context, **kept}
    if isinstance(task, ReadsByTemplate):
        save_conversing(model.body, run.folder, task.template_of(), described)
    elif isinstance(model.body, Whisper):
        assert section.model is not None
        write_json(run.folder / TASK, described)
        save_whisper(model.body, local_folder(section.model), run.folder)
    else:
        save_headed(model, run.folder, described)
