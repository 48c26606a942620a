"""An engine of others that does as it is told, for tests."""

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

from inkstone.hub.foreign_engine import Asked, Ended, Hear, Token


class Scripted:
    """Writes what `script` says of each request, one token after another; waits between them while `gate` is closed."""

    name: ClassVar[str] = "scripted"
    cannot: ClassVar[Mapping[str, str]] = {"constraint": "forms", "min_p": "min_p", "bias": "logit_bias"}

    def __init__(self, script: Callable[[Asked], list[int]], slots: int = 2, capacity: int = 64):
        self.script, self.slots, self.capacity = script, slots, capacity
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[Asked] = []
        self.stopped: list[bool] = []
        self.closed = False

    def write(self, asked: Asked, hear: Hear) -> Ended:
        self.asked.append(asked)
        for number in self.script(asked):
            assert self.gate.wait(30)
            if hear(Token(number, -0.5, ((number, -0.5),)[: asked.alternatives])):
                self.stopped.append(True)
                return "stopped"
        return "length" if len(self.script(asked)) >= asked.most else "end"

    def close(self) -> None:
        self.closed = True
