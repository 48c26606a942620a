"""The inner loop of Word2Vec in NumPy: what the compiled one must equal, and what runs where numba is not installed.

One window is one step of stochastic gradient descent. A word w at some place, the words C around it, and the rows T of
the output matrix that judge them: w itself with label 1 and words drawn at random with label 0 (negative sampling), or the
inner nodes on the way to w, each labelled by the turn taken there (hierarchical softmax).

    loss = − Σ  log σ(± x · oₜ)      over t in T and over x: each word of C (skip-gram), or the mean of C (CBOW)

All words of a window share its negative samples (Ji et al. 2016): two products of small matrices instead of many of vectors.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from inkstone.vectors.huffman import Paths
from inkstone.vectors.noise import AliasTable


@dataclass(frozen=True)
class Tables:
    """What is fixed while the vectors are learned."""

    keep: np.ndarray  # float64, the chance of each word to be read at all
    noise: AliasTable
    paths: Paths


def learn(
    ids: np.ndarray,
    starts: np.ndarray,
    tables: Tables,
    inputs: np.ndarray,
    outputs: np.ndarray,
    *,
    window: int,
    negative: int,
    cbow: bool,
    rate: float,
    generator: np.random.Generator,
) -> None:
    """Read the pieces `ids[starts[i]:starts[i + 1]]` once and change `inputs` and `outputs` in place.

    inputs: (words, width), the vectors; outputs: (words, width), or (words − 1, width) of the inner nodes.
    window: words on each side, of which a number from 1 to `window` is drawn at every place.
    negative: words drawn for each place; 0 is hierarchical softmax.
    """
    for begin, end in pairwise(starts):
        piece = ids[begin:end]
        kept = piece[generator.random(len(piece)) < tables.keep[piece]]
        spans = 1 + (generator.random(len(kept)) * window).astype(np.int64)
        drawn = tables.noise.draw(generator, (len(kept), negative))
        for place, word in enumerate(kept):
            first = max(0, place - spans[place])
            context = np.concatenate([kept[first:place], kept[place + 1 : place + spans[place] + 1]])
            if not len(context):
                continue
            if negative:
                targets = np.concatenate([[word], drawn[place][drawn[place] != word]])
                labels = np.zeros(len(targets), np.float32)
                labels[0] = 1
            else:
                steps = slice(tables.paths.starts[word], tables.paths.starts[word + 1])
                targets, labels = tables.paths.points[steps], 1 - tables.paths.codes[steps]
            x, o = inputs[context], outputs[targets]
            if cbow:
                x = x.mean(axis=0, keepdims=True)
            dx, do = changes(x, o, labels, rate)
            if cbow:
                dx = np.broadcast_to(dx / len(context), (len(context), x.shape[1]))
            np.add.at(inputs, context, dx)
            np.add.at(outputs, targets, do)


def changes(x: np.ndarray, o: np.ndarray, labels: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """−rate times the gradient of − Σ label · log σ(x oᵀ) + (1 − label) · log σ(−x oᵀ), for x (n, width) and o (m, width)."""
    with np.errstate(over="ignore"):  # σ of a large negative number is 0, as it should be
        error = np.float32(rate) * (labels - 1 / (1 + np.exp(-(x @ o.T))))
    return error @ o, error.T @ x
