"""An engine in a thread of its own: asked from any thread, idle without spinning, closed in order."""

import logging
import threading
from collections.abc import Callable

from inkstone.inference.engine import Engine, EngineError, EngineFacts, Heard, Request, Writing

log = logging.getLogger(__name__)


class EngineThread:
    """Runs an engine until it is closed. Listeners are called in its thread, and should hand on and return."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.wake = threading.Condition()
        self.closing = self.cut = False
        self.thread = threading.Thread(target=self._run, name="inkstone-engine", daemon=True)
        self.thread.start()

    @property
    def capacity(self) -> int:
        """Tokens of a prompt and what is written after it."""
        return self.engine.model.capacity

    @property
    def facts(self) -> EngineFacts:
        """Of the engine."""
        return self.engine.facts

    def submit(self, request: Request, hear: Callable[[Heard], None]) -> Writing:
        """As `Engine.submit`. Raises EngineError too where the thread is closing."""
        writing = self.engine.submit(request, hear)
        with self.wake:
            if self.closing:
                self.engine.cancel(writing)
                raise EngineError("no more requests are taken: the engine is closing")
            self.wake.notify()
        return writing

    def cancel(self, writing: Writing) -> None:
        """As `Engine.cancel`."""
        self.engine.cancel(writing)

    def close(self, finish: bool = True) -> None:
        """Take no more requests, and wait until the thread has ended.

        What was asked before is finished, or without `finish` cut off, its listeners told so by an error.
        """
        with self.wake:
            self.closing, self.cut = True, not finish
            self.wake.notify()
        self.thread.join()

    def _run(self) -> None:
        while True:
            with self.wake:
                self.wake.wait_for(lambda: self.engine.busy or self.closing)
            if self.cut:
                self.engine.end_all(EngineError("cut off: the engine was closed"))
            if not self.engine.busy:
                return
            try:
                self.engine.step()
            except Exception as error:
                log.exception("a turn of the engine failed")
                self.engine.end_all(EngineError(f"the engine failed: {type(error).__name__}: {error}"))
