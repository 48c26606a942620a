"""Asking a model that was tuned for a task, on its own thread, one request after another."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import House, ServedTask
from inkstone.tasks.base import Answer
from inkstone.tasks.predict import OptionError


@dataclass(frozen=True)
class Questions:
    """Inputs as the task takes them, and what holds for all of them."""

    inputs: Sequence[Any]
    to: str | None = None  # the language to write
    language: str | None = None  # the language that is spoken
    context: str | None = None  # the text that questions are about
    words: bool = False  # whether the words of a recording have times


async def ask(model: ServedTask, questions: Questions, house: House) -> tuple[list[Answer], int]:
    """The answers in the order of the inputs, and how many tokens the inputs have.

    Raises ApiError where the inputs are none of the task, or the time of a request is over; what was begun then ends unheard.
    """
    loop = asyncio.get_running_loop()
    doing = loop.run_in_executor(model.thread, partial(_answers, model, questions))
    try:
        async with asyncio.timeout(house.settings.request_seconds):
            found = await doing
    except TimeoutError:
        raise ApiError(
            408, f"the answer took longer than {house.settings.request_seconds:g} s", code="timeout"
        ) from None
    house.metrics.asked.labels(model.name).inc(len(questions.inputs))
    return found


def _answers(model: ServedTask, questions: Questions) -> tuple[list[Answer], int]:
    q, predictor = questions, model.predictor
    try:
        examples = predictor.examples(q.inputs, about=q.context, to=q.to, language=q.language, words=q.words)
    except OptionError as error:
        raise ApiError(400, f"{error.option}: {error}", param=error.option) from None
    texts = [*_texts(q.inputs), *([q.context] * len(q.inputs) if q.context is not None else ())]
    return predictor.told(examples), sum(map(len, model.tokenizer.encode_batch(texts)))


def _texts(value: Any) -> Iterator[str]:
    """All text in inputs."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
