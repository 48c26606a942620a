"""Word2Vec: a vector for every word, such that it tells which words stand around it.

Skip-gram predicts a word from each word near it, CBOW from their mean; negative sampling or hierarchical softmax stands in
for a softmax over all words (Mikolov et al. 2013a, 2013b). The mathematics is in `word2vec_reference`; this file holds the
settings, the jobs, the rate that falls to nothing, and the threads.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from inkstone.errors import RecipeError
from inkstone.vectors import word2vec_reference
from inkstone.vectors.acceleration import has_numba
from inkstone.vectors.corpus import Corpus
from inkstone.vectors.huffman import NO_PATHS, huffman_paths
from inkstone.vectors.noise import noise_table
from inkstone.vectors.word2vec_reference import Tables
from inkstone.vectors.word_vectors import WordVectors

JOB_WORDS = 10_000  # read at one rate

Report = Callable[[float, int], None]  # told of the share that is done, and of the words read so far


@dataclass(frozen=True)
class Word2VecSettings:
    """What is learned, and how fast. The defaults are those of word2vec.c but for CBOW's rate."""

    method: str = "skip-gram"  # or "cbow"
    width: int = 100
    window: int = 5  # words on each side at most; how many is drawn anew at each place
    negative: int = 5  # words drawn at random for each place; 0 is hierarchical softmax
    sample: float = 1e-3  # words of a greater share of the text are often passed over; 0 reads all
    rate: float | None = None  # 0.025; 0.075 for CBOW, whose gradient is divided among the words of the context
    last_rate: float = 1e-4

    def __post_init__(self) -> None:
        if self.method not in ("skip-gram", "cbow"):
            raise RecipeError(f"the method must be skip-gram or cbow, not {self.method!r}")
        if self.width < 1 or self.window < 1 or self.negative < 0 or self.sample < 0:
            raise RecipeError(
                f"width {self.width} and window {self.window} must be 1 at least, negative {self.negative} and sample "
                f"{self.sample} not below 0"
            )
        if self.first_rate < self.last_rate or self.last_rate < 0:
            raise RecipeError(
                f"the rate cannot go from {self.first_rate} to {self.last_rate}; it falls, and not below 0"
            )

    @property
    def first_rate(self) -> float:
        """The rate of the first step."""
        return self.rate if self.rate is not None else (0.075 if self.method == "cbow" else 0.025)


def keep_chances(counts: np.ndarray, sample: float) -> np.ndarray:
    """The chance that a word of share f is read, √(s/f) + s/f, at most 1: as word2vec.c has it, not as the paper says.

    The paper's formula is 1 − √(s/f) of dropping, without the second term.
    """
    if sample == 0:
        return np.ones(len(counts))
    share = counts / counts.sum()
    return np.minimum(1, np.sqrt(sample / share) + sample / share)


def tables_for(counts: np.ndarray, settings: Word2VecSettings) -> Tables:
    """What is fixed while the vectors are learned."""
    paths = NO_PATHS if settings.negative else huffman_paths(counts)
    return Tables(keep_chances(counts, settings.sample), noise_table(counts), paths)


def train_word2vec(
    corpus: Corpus,
    settings: Word2VecSettings | None = None,
    *,
    epochs: int = 5,
    seconds: float | None = None,
    seed: int = 0,
    threads: int = 1,
    compiled: bool | None = None,
    report: Report | None = None,
) -> WordVectors:
    """Vectors of the words of `corpus`, read `epochs` times, or again and again until `seconds` have passed.

    With one thread and `epochs`, the same seed gives the same vectors. Several threads change the same arrays without
    waiting for each other (Recht et al. 2011); each has its own draws. compiled: None takes numba where it is installed.

    Raises RecipeError for impossible numbers, MissingExtraError where `compiled` is True and numba is not installed.
    """
    settings = settings or Word2VecSettings()
    if epochs < 1 or threads < 1 or (seconds is not None and seconds <= 0):
        raise RecipeError(f"epochs ({epochs}) and threads ({threads}) must be 1 at least, seconds ({seconds}) above 0")
    learn = learner(compiled, tables_for(corpus.counts, settings), settings)
    drawn = np.random.SeedSequence(seed).spawn(threads + 1)
    inputs = first_vectors(len(corpus.words), settings.width, np.random.default_rng(drawn[0]))
    outputs = np.zeros_like(inputs)
    jobs = _jobs(corpus, epochs, seconds, report)
    lock, stop = threading.Lock(), threading.Event()

    def work(generator: np.random.Generator) -> None:
        while not stop.is_set():
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            starts, share = job
            rate = settings.first_rate + (settings.last_rate - settings.first_rate) * share
            learn(corpus.ids, starts, inputs, outputs, rate, generator)

    generators = [np.random.default_rng(sequence) for sequence in drawn[1:]]
    if threads == 1:
        work(generators[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                for worker in [pool.submit(work, generator) for generator in generators]:
                    worker.result()
            finally:
                stop.set()
    return WordVectors(corpus.words, inputs)


def first_vectors(words: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Small numbers drawn evenly from ±1/(2 width), (words, width)."""
    return (generator.random((words, width), np.float32) - np.float32(0.5)) / np.float32(width)


def learner(compiled: bool | None, tables: Tables, settings: Word2VecSettings) -> Callable[..., Any]:
    """`learn(ids, starts, inputs, outputs, rate, generator)`: the compiled loop, or the reference it equals."""
    cbow = settings.method == "cbow"
    if has_numba(compiled):
        from inkstone.vectors.word2vec_compiled import learn as compiled_learn

        noise, paths = tables.noise, tables.paths
        fixed = (tables.keep, noise.threshold, noise.alias, paths.points, paths.codes, paths.starts)

        def learn(ids, starts, inputs, outputs, rate, generator):
            how = (settings.window, settings.negative, cbow, np.float32(rate), generator)
            compiled_learn(ids, starts, *fixed, inputs, outputs, *how)

        return learn

    def learn_slowly(ids, starts, inputs, outputs, rate, generator):
        how: dict[str, Any] = {"window": settings.window, "negative": settings.negative, "cbow": cbow}
        word2vec_reference.learn(ids, starts, tables, inputs, outputs, **how, rate=rate, generator=generator)

    return learn_slowly


def _jobs(
    corpus: Corpus, epochs: int, seconds: float | None, report: Report | None
) -> Iterator[tuple[np.ndarray, float]]:
    """(starts of pieces of about `JOB_WORDS` words, share of all work that is done before) until the work is done."""
    cuts = np.searchsorted(corpus.starts, np.arange(0, len(corpus.ids), JOB_WORDS))
    bounds = [*dict.fromkeys(cuts.tolist()), corpus.n_pieces]
    begin, epoch = time.monotonic(), 0
    while seconds is not None or epoch < epochs:
        for first, last in pairwise(bounds):
            done = epoch * len(corpus.ids) + int(corpus.starts[first])
            if seconds is None:
                share = done / (epochs * len(corpus.ids))
            else:
                share = (time.monotonic() - begin) / seconds
                if share >= 1:
                    return
            if report:
                report(share, done)
            if last > first:
                yield corpus.starts[first : last + 1], share
        epoch += 1
