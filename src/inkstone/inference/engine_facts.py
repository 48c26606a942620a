"""What an engine has done and has before it, for those who watch it."""

from bisect import bisect_left
from copy import deepcopy
from dataclasses import dataclass, field

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass
class Histogram:
    """How often a value was at most each of `bounds`, and above all of them; and the sum of all values."""

    bounds: tuple[float, ...] = SECONDS
    counts: list[int] = field(default_factory=list)  # one for each bound, and one for what is above the last
    sum: float = 0.0

    def __post_init__(self):
        """Nothing was counted yet."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count a value where it belongs.

        >>> waits = Histogram((1.0, 2.0)); waits.add(1.0); waits.add(1.5); waits.add(9.0); waits.counts, waits.sum
        ([1, 1, 1], 11.5)
        """
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass
class EngineFacts:
    """Counts since the engine began, and how things stand."""

    slots: int
    capacity: int  # tokens that a slot holds
    waiting: int = 0  # requests that have no slot yet
    reading: int = 0  # whose prompt is being read
    writing: int = 0
    submitted: int = 0
    finished: int = 0
    cancelled: int = 0
    refused: int = 0  # since the queue was full, or they could not be fulfilled
    failed: int = 0
    tokens_read: int = 0  # of prompts, by the model
    tokens_reused: int = 0  # of prompts, which a slot held already
    tokens_written: int = 0
    turns: int = 0
    to_first_token: Histogram = field(default_factory=Histogram)  # seconds from a request
    between_tokens: Histogram = field(default_factory=Histogram)  # seconds

    @property
    def running(self) -> int:
        """Requests that have a slot."""
        return self.reading + self.writing

    def copy(self) -> "EngineFacts":
        """As they are now."""
        return deepcopy(self)
