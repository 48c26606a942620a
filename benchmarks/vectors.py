"""How fast, and how well, are word vectors learned against gensim?

    INKSTONE_DATA=FOLDER python benchmarks/vectors.py

The training part of WikiText-2 in lower case, a line a document, words that occur five times or more; width 100, window 5,
5 negative samples, subsampling at 0.001, 5 epochs (the numbers of samples and epochs can be given), rates of each program's
own default. Both learn from the same lines with
the same seeds, in turn. The speed counts all words of the text that have a vector, and excludes the making of the
vocabulary. WordSim-353: Spearman's correlation over the pairs of which both words have a vector, mean of the seeds.
GloVe: window 10, no peer (GloVe.c is no Python package); its speed excludes the counting.
"""

import argparse
import lzma
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inkstone.vectors.cooccurrence import cooccurrences
from inkstone.vectors.corpus import Corpus, corpus_of
from inkstone.vectors.glove import GloveSettings, train_glove
from inkstone.vectors.judgements import SIMILARITY_TESTS, read_pairs, similarity_score
from inkstone.vectors.word2vec import Word2VecSettings, train_word2vec
from inkstone.vectors.word_vectors import WordVectors
from mirror import the_mirror
from results import FOLDER, write_result


def lines_of(mirror: Path, share: float) -> list[list[str]]:
    text = lzma.decompress((mirror / "wikitext-2" / "train.txt.xz").read_bytes()).decode().lower()
    lines = [line.split() for line in text.split("\n") if line.strip()]
    return lines[: int(len(lines) * share)]


@dataclass(frozen=True)
class Task:
    """One training of Word2Vec, the same for both programs."""

    method: str
    epochs: int
    negative: int
    threads: int
    seed: int


def ours(corpus: Corpus, task: Task) -> tuple[WordVectors, float, float]:
    """Vectors, and seconds of the clock and of the processor."""
    settings = Word2VecSettings(task.method, negative=task.negative)
    how = {"epochs": task.epochs, "seed": task.seed, "threads": task.threads}
    return timed(lambda: train_word2vec(corpus, settings, **how, compiled=True))


def gensim(lines: list[list[str]], task: Task) -> tuple[WordVectors, float, float]:
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=100, window=5, min_count=5, sg=int(task.method == "skip-gram"), negative=task.negative, sample=1e-3,
        workers=task.threads, epochs=task.epochs, seed=task.seed + 1,
    )  # fmt: skip
    model.build_vocab(lines)
    _, clock, processor = timed(lambda: model.train(lines, total_examples=model.corpus_count, epochs=task.epochs))
    return WordVectors(list(model.wv.index_to_key), model.wv.vectors), clock, processor


def glove(corpus: Corpus, epochs: int, threads: int) -> tuple[WordVectors, float, float]:
    """Vectors, and seconds from the first cell on."""
    counted: list[float] = []  # the clocks when the counting was done

    def report(share: float, done: int) -> None:
        if not counted:
            counted.extend((time.perf_counter(), time.process_time()))

    vectors = train_glove(corpus, epochs=epochs, threads=threads, report=report)
    return vectors, time.perf_counter() - counted[0], time.process_time() - counted[1]


def timed(action: Callable):
    clock, processor = time.perf_counter(), time.process_time()
    outcome = action()
    return outcome, time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", default=["skip-gram", "cbow"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--negative", type=int, default=5, help="samples drawn for each word")
    parser.add_argument("--glove-epochs", type=int, default=15)
    parser.add_argument("--no-glove", action="store_true")
    parser.add_argument("--share", type=float, default=1.0, help="of the lines (for a quick look)")
    parser.add_argument("--out", type=Path, default=FOLDER / "vectors.json")
    options = parser.parse_args()
    mirror = the_mirror()
    lines = lines_of(mirror, options.share)
    corpus = corpus_of(lines)
    pairs = read_pairs(mirror / f"{SIMILARITY_TESTS['WordSim-353']}.xz")
    words = options.epochs * len(corpus.ids)
    train_word2vec(corpus_of([["a", "b"] * 5]), epochs=1)  # numba compiles before the clock runs
    rows: list[list] = []

    def add(
        program: str, method: str, threads: int, unit: str, runs: list[tuple[WordVectors, float, float]], work: int
    ):
        scores = [similarity_score(vectors, pairs) for vectors, _, _ in runs]
        figures = [score.spearman for score in scores if score.spearman is not None]
        clock = work / statistics.median(seconds for _, seconds, _ in runs)
        processor = work / statistics.median(seconds for _, _, seconds in runs)
        spread = max(figures) - min(figures) if len(figures) > 1 else None
        mean = statistics.mean(figures) if figures else None
        rows.append([program, method, threads, unit, clock, processor, len(runs), mean, spread, scores[0].covered])

        write()

    def write() -> None:
        write_result(
            options.out,
            question="How fast, and how well, are word vectors learned against gensim?",
            columns=[
                "program", "method", "threads", "unit", "units a second", "units a second of processor time", "seeds",
                "WordSim-353", "spread over the seeds", "pairs covered",
            ],
            rows=rows,
            notes=[
                f"{len(corpus.ids):,} words of text, {len(corpus.words):,} with a vector; {options.epochs} epochs and "
                f"{options.negative} negative samples, GloVe {options.glove_epochs} epochs.",
                "Processor time is what a speed on a machine shared with other work is to be read from.",
                "GloVe's speed is that of the fit, after the counting.",
            ],
        )  # fmt: skip

    for method in options.methods:
        for threads in options.threads:
            both: tuple[list, list] = ([], [])
            for seed in range(options.seeds):
                task = Task(method, options.epochs, options.negative, threads, seed)
                for done, run in zip(both, (partial(ours, corpus), partial(gensim, lines)), strict=True):
                    done.append(run(task))
                    vectors, clock, processor = done[-1]
                    figure = similarity_score(vectors, pairs).spearman
                    print(method, threads, seed, clock, processor, figure, file=sys.stderr, flush=True)
            add("inkstone", method, threads, "words", both[0], words)
            add("gensim", method, threads, "words", both[1], words)
    if not options.no_glove:
        cells = options.glove_epochs * 2 * len(cooccurrences(corpus, GloveSettings().window))
        for threads in options.threads:
            add("inkstone", "glove", threads, "cells", [glove(corpus, options.glove_epochs, threads)], cells)


if __name__ == "__main__":
    main()
