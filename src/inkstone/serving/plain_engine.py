"""One text at a time with `generate`'s own loop, behind the face of the engine."""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inkstone.errors import InkstoneError
from inkstone.inference.constrained import Constraint
from inkstone.inference.generation import Generated, stream
from inkstone.inference.sampling import Sampling
from inkstone.models.base import LanguageModel


@dataclass(frozen=True)
class Request:
    """A text to be written."""

    prompt: tuple[int, ...]
    sampling: Sampling
    sample: int = 0
    ends: frozenset[int] | None = None
    constraint: Constraint | None = None
    bias: Mapping[int, float] = field(default_factory=dict)
    alternatives: int = 0
    client: str = ""


@dataclass(frozen=True)
class Heard:
    """What a listener is told."""

    text: str = ""
    ids: tuple[int, ...] = ()
    log_probabilities: tuple[float, ...] = ()
    alternatives: tuple[tuple[tuple[int, float], ...], ...] = ()
    generated: Generated | None = None
    error: InkstoneError | None = None


class EngineThread:
    """Writes one text after another."""

    def __init__(self, model: LanguageModel):
        self.model = model
        self.waiting: queue.Queue = queue.Queue()
        self.cancelled: set[int] = set()
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, request: Request, hear: Callable[[Heard], None]) -> object:
        """Begin to write."""
        writing = object()
        self.waiting.put((writing, request, hear))
        return writing

    def cancel(self, writing: object) -> None:
        """Stop."""
        self.cancelled.add(id(writing))

    def close(self, finish: bool = True) -> None:
        """End the thread."""
        self.waiting.put(None)

    def _run(self) -> None:
        while (job := self.waiting.get()) is not None:
            writing, request, hear = job
            try:
                pieces = stream(
                    self.model, request.prompt, request.sampling, 1, ends=request.ends, constraint=request.constraint
                )
                for piece in pieces:
                    if id(writing) in self.cancelled:
                        break
                    whole = piece.generated
                    hear(
                        Heard(piece.text, whole.ids, whole.log_probabilities, (), whole) if whole else Heard(piece.text)
                    )
            except InkstoneError as error:
                hear(Heard(error=error))
