"""A request to a model that was tuned for a task: its answers, within the time that it has."""

import asyncio
from collections.abc import Iterator
from typing import Any

from inkstone.inference.requests import Busy
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import House, ServedTask
from inkstone.serving.task_queue import Questions
from inkstone.tasks.base import Answer

__all__ = ["Questions", "ask"]


async def ask(model: ServedTask, questions: Questions, house: House) -> tuple[list[Answer], int]:
    """The answers in the order of the inputs, and how many tokens the inputs have.

    Raises ApiError where too many wait, an option means nothing to the task, or the time of a request is over, and TextError for inputs that
    are none of the task. What is given up before its turn is never asked, what was begun ends unheard.
    """
    try:
        async with asyncio.timeout(house.settings.request_seconds):
            answers = await asyncio.wrap_future(model.queue.ask(questions))
            tokens = await asyncio.to_thread(_tokens, model, questions)
    except Busy as error:
        raise ApiError(503, str(error), code="overloaded", headers={"retry-after": "1"}) from None
    except TimeoutError:
        raise ApiError(
            408, f"the answer took longer than {house.settings.request_seconds:g} s", code="timeout"
        ) from None
    house.metrics.asked.labels(model.name).inc(len(questions.inputs))
    return answers, tokens


def _tokens(model: ServedTask, q: Questions) -> int:
    texts = [*_texts(q.inputs), *([q.context] * len(q.inputs) if q.context is not None else ())]
    return sum(map(len, model.tokenizer.encode_batch(texts)))


def _texts(value: Any) -> Iterator[str]:
    """All text in inputs."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
