"""Requests to a model that was tuned for a task, asked together where several wait.

The model does one thing at a time, on a thread of its own. What comes meanwhile waits, and is then asked in one go: a pass over
many texts costs little more than one over few. A request that finds the model idle is asked at once, by itself.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from inkstone.inference.requests import Busy
from inkstone.serving.api_errors import ApiError
from inkstone.tasks.base import Answer
from inkstone.tasks.predict import OptionError, Predictor

MOST_TOGETHER = 256  # inputs that are asked about in one go, where they come from several requests


@dataclass(frozen=True)
class Questions:
    """Inputs as the task takes them, and what holds for all of them."""

    inputs: Sequence[Any]
    to: str | None = None  # the language to write
    language: str | None = None  # the language that is spoken
    context: str | None = None  # the text that questions are about
    words: bool = False  # whether the words of a recording have times


@dataclass(eq=False)
class _Asked:
    questions: Questions
    answers: Future[list[Answer]] = field(default_factory=Future)


class TaskQueue:
    """What waits for a predictor; `longest` requests at most. `thread` has one thread, which others may use as well."""

    def __init__(self, predictor: Predictor, thread: ThreadPoolExecutor, longest: int):
        self.predictor, self.thread, self.longest = predictor, thread, longest
        self.waiting: deque[_Asked] = deque()
        self.lock = threading.Lock()
        # A recording takes long, and none should wait for another's end.
        self.gathers = predictor.task.name != "transcribe"

    def ask(self, questions: Questions) -> Future[list[Answer]]:
        """The answers to come, in the order of the inputs; what is cancelled before its turn is never asked.

        Raises Busy where too many wait. The answers may be an ApiError for an option, TextError for an input that the task cannot take.
        """
        asked = _Asked(questions)
        with self.lock:
            if len(self.waiting) >= self.longest:
                raise Busy(len(self.waiting))
            self.waiting.append(asked)
        self.thread.submit(self._turn)
        return asked.answers

    def close(self) -> None:
        """Ask nothing of what waits."""
        with self.lock:
            waiting, self.waiting = self.waiting, deque()
        for asked in waiting:
            asked.answers.cancel()

    def _turn(self) -> None:
        """Answer those that come first and are asked in the same way; each has a turn to come, which may find nothing left."""
        ready = []
        for asked in self._together():
            if asked.answers.set_running_or_notify_cancel():
                try:
                    ready.append((asked, self._examples(asked.questions)))
                except BaseException as error:
                    asked.answers.set_exception(error)
        self._answer(ready)

    def _together(self) -> list[_Asked]:
        with self.lock:
            if not self.waiting:
                return []
            found = [self.waiting.popleft()]
            room = MOST_TOGETHER - len(found[0].questions.inputs)
            for asked in list(self.waiting) if self.gathers else ():
                size = len(asked.questions.inputs)
                if size <= room and _options(asked) == _options(found[0]):
                    self.waiting.remove(asked)
                    found.append(asked)
                    room -= size
            return found

    def _examples(self, q: Questions) -> list[Any]:
        try:
            return self.predictor.examples(q.inputs, about=q.context, to=q.to, language=q.language, words=q.words)
        except OptionError as error:
            raise ApiError(400, f"{error.option}: {error}", param=error.option) from None

    def _answer(self, ready: Sequence[tuple[_Asked, list[Any]]]) -> None:
        if not ready:
            return
        try:
            told = iter(self.predictor.told([example for _, examples in ready for example in examples]))
        except BaseException as error:
            if len(ready) == 1:
                ready[0][0].answers.set_exception(error)
            else:  # one of them is at fault, and the others are to have their answers
                for each in ready:
                    self._answer([each])
            return
        for asked, examples in ready:
            asked.answers.set_result([next(told) for _ in examples])


def _options(asked: _Asked) -> tuple[Any, ...]:
    """What a task keeps in mind while it answers."""
    q = asked.questions
    return q.to, q.language, q.words
