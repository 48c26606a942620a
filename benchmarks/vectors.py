"""How fast, and how well, are word vectors learned against gensim?

    INKSTONE_DATA=FOLDER python benchmarks/vectors.py

The training part of WikiText-2 in lower case, a line a document, words that occur five times or more; width 100, window 5,
5 negative samples, subsampling at 0.001, 5 epochs, rates of each program's own default. Both learn from the same lines with
the same seeds, in turn. The speed counts all words of the text that have a vector, and excludes the making of the
vocabulary. WordSim-353: Spearman's correlation over the pairs of which both words have a vector, mean of the seeds.
GloVe: window 10, no peer (GloVe.c is no Python package).
"""

import argparse
import lzma
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from inkstone.vectors.cooccurrence import cooccurrences
from inkstone.vectors.corpus import Corpus, corpus_of
from inkstone.vectors.glove import GloveSettings, train_glove
from inkstone.vectors.judgements import SIMILARITY_TESTS, read_pairs, similarity_score
from inkstone.vectors.word2vec import Word2VecSettings, train_word2vec
from inkstone.vectors.word_vectors import WordVectors
from results import FOLDER, write_result

EPOCHS = 5
GLOVE_EPOCHS = 15


def lines_of(mirror: Path, share: float) -> list[list[str]]:
    text = lzma.decompress((mirror / "wikitext-2" / "train.txt.xz").read_bytes()).decode().lower()
    lines = [line.split() for line in text.split("\n") if line.strip()]
    return lines[: int(len(lines) * share)]


def ours(corpus: Corpus, method: str, threads: int, seed: int) -> tuple[WordVectors, float, float]:
    """Vectors, and seconds of the clock and of the processor."""
    return timed(
        lambda: train_word2vec(
            corpus, Word2VecSettings(method), epochs=EPOCHS, seed=seed, threads=threads, compiled=True
        )
    )


def gensim(lines: list[list[str]], method: str, threads: int, seed: int) -> tuple[WordVectors, float, float]:
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=100, window=5, min_count=5, sg=int(method == "skip-gram"), negative=5, sample=1e-3,
        workers=threads, epochs=EPOCHS, seed=seed + 1,
    )  # fmt: skip
    model.build_vocab(lines)
    _, clock, processor = timed(lambda: model.train(lines, total_examples=model.corpus_count, epochs=EPOCHS))
    return WordVectors(list(model.wv.index_to_key), model.wv.vectors), clock, processor


def timed(action: Callable):
    clock, processor = time.perf_counter(), time.process_time()
    outcome = action()
    return outcome, time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", default=["skip-gram", "cbow"])
    parser.add_argument("--no-glove", action="store_true")
    parser.add_argument("--share", type=float, default=1.0, help="of the lines (for a quick look)")
    parser.add_argument("--out", type=Path, default=FOLDER / "vectors.json")
    options = parser.parse_args()
    mirror = Path(os.environ.get("INKSTONE_DATA", ""))
    if not os.environ.get("INKSTONE_DATA") or not mirror.is_dir():
        sys.exit("INKSTONE_DATA must name the mirror of the public data sets")
    lines = lines_of(mirror, options.share)
    corpus = corpus_of(lines)
    pairs = read_pairs(mirror / f"{SIMILARITY_TESTS['WordSim-353']}.xz")
    words = EPOCHS * len(corpus.ids)
    train_word2vec(corpus_of([["a", "b"] * 5]), epochs=1)  # numba compiles before the clock runs
    rows: list[list] = []

    def add(
        program: str, method: str, threads: int, unit: str, runs: list[tuple[WordVectors, float, float]], work: int
    ):
        scores = [similarity_score(vectors, pairs) for vectors, _, _ in runs]
        figures = [score.spearman for score in scores if score.spearman is not None]
        clock = work / statistics.median(seconds for _, seconds, _ in runs)
        processor = work / statistics.median(seconds for _, _, seconds in runs)
        spread = (max(figures) - min(figures)) if figures else None
        mean = statistics.mean(figures) if figures else None
        rows.append([program, method, threads, unit, clock, processor, len(runs), mean, spread, scores[0].covered])

    for method in options.methods:
        for threads in options.threads:
            both: tuple[list, list] = ([], [])
            for seed in range(options.seeds):
                for done, run in zip(
                    both, (lambda *how: ours(corpus, *how), lambda *how: gensim(lines, *how)), strict=True
                ):
                    vectors, clock, processor = run(method, threads, seed)
                    done.append((vectors, clock, processor))
                    figure = similarity_score(vectors, pairs).spearman
                    print(method, threads, seed, clock, processor, figure, file=sys.stderr, flush=True)
            add("inkstone", method, threads, "words", both[0], words)
            add("gensim", method, threads, "words", both[1], words)
    if not options.no_glove:
        cells = GLOVE_EPOCHS * 2 * len(cooccurrences(corpus, GloveSettings().window))
        for threads in options.threads:
            learned = timed(lambda threads=threads: train_glove(corpus, epochs=GLOVE_EPOCHS, threads=threads))
            add("inkstone", "glove", threads, "cells", [learned], cells)
    write_result(
        options.out,
        question="How fast, and how well, are word vectors learned against gensim?",
        columns=[
            "program", "method", "threads", "unit", "units a second", "units a second of processor time", "seeds",
            "WordSim-353", "spread over the seeds", "pairs covered",
        ],
        rows=rows,
        notes=[
            f"{len(corpus.ids):,} words of text, {len(corpus.words):,} with a vector; {EPOCHS} epochs, GloVe {GLOVE_EPOCHS}.",
            "Processor time is what a speed on a machine shared with other work is to be read from.",
            "GloVe's figures include the counting.",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
