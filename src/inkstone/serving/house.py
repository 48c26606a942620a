"""The models that are served, by name."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from inkstone.errors import nearest
from inkstone.inference.engine_thread import EngineThread
from inkstone.inference.other_engine import OtherEngine
from inkstone.models.base import LanguageModel
from inkstone.serving.api_errors import ApiError
from inkstone.serving.bounded_pool import BoundedPool
from inkstone.serving.metrics import Metrics
from inkstone.serving.settings import ServingError, ServingSettings
from inkstone.serving.task_queue import TaskQueue
from inkstone.tasks.predict import Predictor
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.tokenizer import Tokenizer

SCORING_THREADS = 2  # so that a long text does not hold up short ones


@dataclass
class ServedLanguage:
    """A language model, its chat template (none: a base model), and the engine that writes with it."""

    name: str
    folder: Path
    model: LanguageModel
    template: ChatTemplate | None
    engine: EngineThread | OtherEngine
    created: int = field(default_factory=lambda: int(time.time()))
    kind = "language"

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the model."""
        return self.model.tokenizer

    @property
    def capacity(self) -> int:
        """Tokens of a prompt and what is written after it."""
        return self.engine.capacity

    @cached_property
    def longest_token(self) -> int:
        """Bytes that one token can stand for."""
        vocabulary = self.tokenizer.backend.get_vocab(with_added_tokens=True)
        return max(len(token.encode()) for token in vocabulary)

    def close(self, finish: bool = True) -> None:
        """Stop the engine; with `finish`, once what is under way is written."""
        self.engine.close(finish=finish)


@dataclass
class ServedTask:
    """A model that was tuned for a task. Its predictor is asked on one thread of its own: it can do one thing at a time."""

    name: str
    folder: Path
    predictor: Predictor
    longest_queue: int = 256  # requests that wait for it
    created: int = field(default_factory=lambda: int(time.time()))
    kind = "task"

    def __post_init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"task {self.name}")
        self.queue = TaskQueue(self.predictor, self.thread, self.longest_queue)

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.predictor.task.name

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the model."""
        return self.predictor.frame.tokenizer

    def close(self, finish: bool = True) -> None:
        """Take no more questions."""
        if not finish:
            self.queue.close()
        self.thread.shutdown(wait=finish, cancel_futures=not finish)


Served = ServedLanguage | ServedTask


class House:
    """What a server has: its models by name, in the order in which they were named, and its settings."""

    def __init__(self, models: list[Served], settings: ServingSettings):
        self.settings = settings
        self.metrics = Metrics()
        self.metrics.watch(self)
        self.scoring = BoundedPool(
            "scores of tokens", threads=SCORING_THREADS, most=settings.most_scorings, seconds=settings.request_seconds
        )
        self.models: dict[str, Served] = {}
        self.closing = False  # the server was told to stop
        for model in models:
            self.add(model)

    def add(self, model: Served) -> None:
        """Serve one more. Raises ServingError where its name is taken."""
        if model.name in self.models:
            raise ServingError(
                f"two models are called {model.name!r}; give one another name: NAME={self.models[model.name].folder}"
            )
        self.models[model.name] = model

    def find(self, name: str | None) -> Served:
        """The model of that name; with none, the only one. Raises ApiError where there is none, or several."""
        if name is None:
            if len(self.models) == 1:
                return next(iter(self.models.values()))
            raise ApiError(400, f"missing parameter: 'model'; there are: {', '.join(self.models)}", param="model")
        if name not in self.models:
            told = nearest(name, self.models) if self.models else "none is served"
            raise ApiError(404, f"there is no model {name[:100]!r}; {told}", param="model", code="model_not_found")
        return self.models[name]

    def language(self, name: str | None) -> ServedLanguage:
        """The language model of that name. Raises ApiError where it is none."""
        model = self.find(name)
        if isinstance(model, ServedLanguage):
            return model
        raise ApiError(
            400, f"{model.name!r} was tuned for the task {model.task!r}; ask it at {place_of(model)}", param="model"
        )

    def tuned(self, name: str | None, task: str | None = None) -> ServedTask:
        """The model of that name that was tuned, for this task if one is named. Raises ApiError where it was not."""
        model = self.find(name)
        if isinstance(model, ServedTask) and task in (None, model.task):
            return model
        raise ApiError(400, f"{model.name!r} {_cannot(model, task)}; ask it at {place_of(model)}", param="model")

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self.models.values()))  # one may be added by another thread meanwhile

    def close(self, finish: bool = True) -> None:
        """Stop all models."""
        self.scoring.close()
        for model in self:
            model.close(finish)


def place_of(model: Served) -> str:
    """Where a model is asked."""
    if isinstance(model, ServedLanguage):
        return "/v1/completions" if model.template is None else "/v1/chat/completions"
    return {"embed": "/v1/embeddings", "transcribe": "/v1/audio/transcriptions"}.get(
        model.task, f"/v1/tasks/{model.name}"
    )


def _cannot(model: Served, task: str | None) -> str:
    if isinstance(model, ServedLanguage):
        return "is a language model, not tuned for a task"
    return f"was tuned for the task {model.task!r}, not for {task!r}"
