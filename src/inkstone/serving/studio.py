"""What the studio keeps beyond the models that are served: its folder, its trainings, and what it has found out of texts and this machine."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from inkstone.environment import pick_device
from inkstone.errors import InkstoneError
from inkstone.serving.bounded_pool import BoundedPool
from inkstone.serving.house import Served
from inkstone.serving.job_notes import Job
from inkstone.serving.learning_from_marks import LEAST, LEAST_QUESTIONS, lesson_of
from inkstone.serving.marks import Mark, learnable
from inkstone.serving.settings import ServingSettings
from inkstone.serving.studio_folder import StudioError, StudioFolder
from inkstone.serving.text_inspection import inspected
from inkstone.serving.training_jobs import TrainingJobs
from inkstone.text.sampling import text_bytes
from inkstone.training.machine import Machine, measure_machine
from inkstone.training.preview import checked_recipe, preview

RUNS = Path("runs")  # where models have no folder of their own here
MOST_REMEMBERED = 32  # texts whose facts are kept
MOST_PLANS = 8  # that are made or wait
MOST_LOOKS = 8  # at texts, that are under way or wait
HELD_OUT = 0.05  # of a text that is not trained on, about
# What a page may choose; all else is the planner's or the server's. No setting of these names a file.
SETTINGS = {
    "model.family", "model.width", "model.n_layers", "model.context", "model.dropout", "tokenizer.kind", "tokenizer.vocab_size",
    "train.steps", "train.batch_tokens", "train.learning_rate", "train.seed", "train.threads", "train.checkpoint_steps",
    "train.evaluate_steps",
}  # fmt: skip


class Studio:
    """The studio of one server."""

    def __init__(self, folder: Path | str, settings: ServingSettings):
        self.folder = StudioFolder(folder)
        self.jobs = TrainingJobs(self.folder, settings.shutdown_seconds)
        self.looking = BoundedPool(
            "facts of texts", threads=1, most=MOST_LOOKS, seconds=settings.request_seconds
        )  # apart from what must not wait for minutes
        self.planning = BoundedPool(
            "plans", threads=1, most=MOST_PLANS, seconds=settings.request_seconds
        )  # each times steps
        self.measuring = threading.Lock()
        self.known: OrderedDict[tuple[str, str | None], dict[str, Any]] = OrderedDict()
        self.machine: Machine | None = None

    @classmethod
    def beside(cls, models: Iterable[Served], settings: ServingSettings) -> "Studio":
        """In the folder of the settings, else where the first model lies that is not one of the hub's cache."""
        if settings.studio is not None:
            return cls(settings.studio, settings)
        homes = (model.folder.resolve().parent for model in models)
        return cls(next((home for home in homes if home.name != "snapshots"), RUNS), settings)

    async def facts_of_text(self, number: str, run: str | None = None) -> dict[str, Any]:
        """What is in a text, its tokens by the tokenizer of a run if one is named; one text is looked at at a time.

        Raises StudioError, InkstoneError, ApiError where too many ask.
        """
        (facts,) = await self.looking.run([partial(self._facts, number, run)])
        return facts

    def _facts(self, number: str, run: str | None) -> dict[str, Any]:
        noted, path = self.folder.text(number)
        tokenizer = None if run is None else self.folder.run(run)
        if (number, run) not in self.known:
            self.known[number, run] = inspected(path, noted.name, tokenizer)
            if len(self.known) > MOST_REMEMBERED:
                self.known.popitem(last=False)
        return {"text": asdict(noted), **self.known[number, run]}

    def plan(self, number: str, minutes: float | None, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What the planner would choose for a text. Raises StudioError, RecipeError."""
        _, path = self.folder.text(number)
        size, counted = text_bytes(path), None
        facts = next((facts for (text, _), facts in list(self.known.items()) if text == number), None)
        if facts and facts["part"] is None:
            size, found = facts["kept_bytes"], facts["tokens"]
            if found is not None and found["tokenizer"] is None:
                counted = round((1 - HELD_OUT) * found["count"]), found["vocabulary"]
        machine, chosen = self.this_machine(), allowed(settings)
        return preview(round((1 - HELD_OUT) * size), minutes, machine, chosen, counted)

    def train(self, number: str, minutes: float | None, settings: Mapping[str, Any], name: str | None) -> Job:
        """Begin to train on a text, or let it wait. Raises StudioError, RecipeError."""
        noted, path = self.folder.text(number)
        chosen = allowed(settings)
        checked_recipe(minutes, chosen)
        return self.jobs.train(path, noted.name, minutes, chosen, name or noted.name.partition(".")[0])

    def this_machine(self) -> Machine:
        """What this machine can do, measured once."""
        with self.measuring:
            if self.machine is None:
                threads = torch.get_num_threads()
                try:
                    self.machine = measure_machine(pick_device("auto"), seconds=0.2)
                finally:
                    torch.set_num_threads(threads)  # which models that are served write with
            return self.machine

    def lesson(self, marks: Sequence[Mark]) -> dict[str, Any]:
        """What marks come to: how many pairs and lone answers, and what would be learned of them now, if anything."""
        found = learnable(marks)
        told = {"pairs": len(found.pairs), "ups": len(found.ups), "downs": len(found.downs), "opposed": found.opposed}
        try:
            ready = lesson_of(found, self.folder.feedback.path).task
        except InkstoneError:
            ready = None
        questions = len({mark.question for mark in marks})
        return {**told, "questions": questions, "ready": ready, "least": LEAST, "least_questions": LEAST_QUESTIONS}

    def close(self) -> None:
        """Let what trains save its state and end."""
        self.looking.close()
        self.planning.close()
        self.jobs.close()


def allowed(settings: Mapping[str, Any]) -> list[str]:
    """Settings as the command line takes them. Raises StudioError for one that a page may not choose."""
    written = []
    for name, value in settings.items():
        if name not in SETTINGS:
            raise StudioError(
                f"the setting {name[:60]!r} cannot be chosen here; those that can: {', '.join(sorted(SETTINGS))}"
            )
        if isinstance(value, str):
            if not value.replace("_", "").replace("-", "").isalnum() or len(value) > 40:
                raise StudioError(f"{name} = {value[:60]!r} is no name")
            written.append(f'{name}="{value}"')
        else:
            written.append(f"{name}={value!r}")
    return written
