"""GloVe: vectors whose products are the logarithms of how often words stand near each other (Pennington et al. 2014).

The counts are made once and hold all that the text has to say; the fit then passes over the cells, not over the text.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from inkstone.errors import RecipeError, TextError
from inkstone.vectors.acceleration import has_numba
from inkstone.vectors.cooccurrence import Cells, cooccurrences
from inkstone.vectors.corpus import Corpus
from inkstone.vectors.word_vectors import WordVectors

JOB_CELLS = 100_000
JOB_CELLS_SLOW = 2_000  # without numba


@dataclass(frozen=True)
class GloveSettings:
    """What is fitted, and how fast: the defaults of the paper."""

    width: int = 100
    window: int = 10  # words on each side, a word at distance d counting 1/d
    x_max: float = 100.0  # counts above weigh no more than this one; the paper's is for billions of words
    power: float = 0.75
    rate: float = 0.05

    def __post_init__(self) -> None:
        if self.width < 1 or self.window < 1 or self.x_max <= 0 or self.rate <= 0:
            raise RecipeError(
                f"width {self.width} and window {self.window} must be 1 at least, x_max {self.x_max} and rate {self.rate} above 0"
            )


def train_glove(
    corpus: Corpus,
    settings: GloveSettings | None = None,
    *,
    epochs: int = 15,
    seconds: float | None = None,
    seed: int = 0,
    threads: int = 1,
    compiled: bool | None = None,
    report: Callable[[float, int], None] | None = None,
) -> WordVectors:
    """Vectors of the words of `corpus`: each is the sum of a word's vector and its vector as a context, as in the paper.

    epochs: passes over all cells, or as many as `seconds` hold, the counting included. With one thread and `epochs`, the
    same seed gives the same vectors. `report` is told of the share that is done and of the cells seen so far.

    Raises RecipeError for impossible numbers, TextError where no two words stand near each other, MissingExtraError where
    `compiled` is True and numba is not installed.
    """
    settings = settings or GloveSettings()
    begin = time.monotonic()
    if epochs < 1 or threads < 1 or (seconds is not None and seconds <= 0):
        raise RecipeError(f"epochs ({epochs}) and threads ({threads}) must be 1 at least, seconds ({seconds}) above 0")
    fast = has_numba(compiled)
    if fast:
        from inkstone.vectors.glove_compiled import learn
    else:
        from inkstone.vectors.glove_reference import learn
    generator = np.random.default_rng(seed)
    cells = cooccurrences(corpus, settings.window)
    if not len(cells):
        raise TextError(
            f"no two words stand within {settings.window} words of each other in one document; give more text, or a lower "
            "--min-count"
        )
    shape = (2, len(corpus.words), settings.width + 1)  # words and contexts; the bias in the last column
    values = (generator.random(shape, np.float32) - np.float32(0.5)) / np.float32(settings.width + 1)
    # GloVe.c begins at 1 and sums the squares of rate · gradient, which is the same as this.
    sums = np.full(shape, 1 / settings.rate**2, np.float32)
    jobs = _jobs(cells, epochs, seconds, begin, generator, JOB_CELLS if fast else JOB_CELLS_SLOW, report)
    lock, stop = threading.Lock(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            rows, columns, weights = job
            # The loop is compiled for single precision.
            weighting: Any = (np.float32(settings.x_max), np.float32(settings.power))
            learn(rows, columns, weights, values[0], values[1], sums[0], sums[1], *weighting)

    if threads == 1:
        work()
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                for worker in [pool.submit(work) for _ in range(threads)]:
                    worker.result()
            finally:
                stop.set()
    return WordVectors(corpus.words, values[0, :, :-1] + values[1, :, :-1])


def _jobs(
    cells: Cells,
    epochs: int,
    seconds: float | None,
    begin: float,
    generator: np.random.Generator,
    size: int,
    report: Callable[[float, int], None] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(rows, columns, weights) of some cells in an order drawn anew in each pass, until the work is done.

    Which of the two words is the context is drawn too, where GloVe.c sees every pair in both directions.
    """
    epoch = 0
    while seconds is not None or epoch < 2 * epochs:  # half of the directions in each
        order = generator.permutation(len(cells))
        turned = generator.random(len(cells), np.float32) < 0.5
        for first in range(0, len(cells), size):
            done = epoch * len(cells) + first
            share = done / (2 * epochs * len(cells))
            if seconds is not None:
                share = (time.monotonic() - begin) / seconds
                if share >= 1:
                    return
            if report:
                report(share, done)
            some = order[first : first + size]
            rows, columns = cells.rows[some], cells.columns[some]
            turn = turned[first : first + size]
            yield np.where(turn, columns, rows), np.where(turn, rows, columns), cells.weights[some]
        epoch += 1
