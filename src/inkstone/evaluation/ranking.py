"""How well things were put in order: nDCG, recall, reciprocal rank and average precision; correlations of two scores.

One query is scored by the identifiers it returned, best first, and by what is relevant to it. A system's figure is the mean
over its queries.
"""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Num

from inkstone.errors import TextError
from inkstone.vectors.judgements import spearman

__all__ = ["average_precision", "ndcg", "pearson", "recall", "reciprocal_rank", "spearman"]


def ndcg(ranked: Sequence[Hashable], gains: Mapping[Hashable, float], k: int | None = None) -> float | None:
    """DCG / DCG of the best order, with DCG = Σᵢ gainᵢ / log₂(i + 1) over the first k places, counted from 1.

    Gains are linear, as in trec_eval and scikit-learn (for 2^gain − 1, pass those). What has no gain counts 0. None where
    nothing has a gain. Source: Järvelin and Kekäläinen 2002.

    >>> round(ndcg(["a", "x", "b"], {"a": 1.0, "b": 1.0}, 10), 4)
    0.9197
    """
    best = _discounted(sorted(gains.values(), reverse=True)[:k])
    return _discounted([gains.get(item, 0.0) for item in _once(ranked)[:k]]) / best if best else None


def recall(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int | None = None) -> float | None:
    """The share of what is relevant that stands in the first k places; None where nothing is relevant."""
    wanted = set(relevant)
    return len(wanted.intersection(_once(ranked)[:k])) / len(wanted) if wanted else None


def reciprocal_rank(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int | None = None) -> float | None:
    """1 / the place of the first that is relevant, 0 where none is among the first k; the mean over queries is the MRR."""
    wanted = set(relevant)
    if not wanted:
        return None
    return next((1 / place for place, item in enumerate(_once(ranked)[:k], 1) if item in wanted), 0.0)


def average_precision(ranked: Sequence[Hashable], relevant: Collection[Hashable]) -> float | None:
    """The mean, over everything relevant, of the precision at its place; what was not returned counts 0.

    The mean over queries is the MAP (Buckley and Voorhees 2000). None where nothing is relevant.

    >>> average_precision(["a", "x", "b"], {"a", "b", "c", "d"}) == (1 / 1 + 2 / 3) / 4
    True
    """
    wanted, found, total = set(relevant), 0, 0.0
    for place, item in enumerate(_once(ranked), 1):
        if item in wanted:
            found += 1
            total += found / place
    return total / len(wanted) if wanted else None


def pearson(left: Num[np.ndarray, " n"], right: Num[np.ndarray, " n"]) -> float | None:
    """The linear correlation of two scores, −1 to 1; None where all values of a side are equal.

    `spearman`, beside it, is the same of their ranks, ties sharing the mean of theirs.
    """
    if len(left) != len(right):
        raise TextError(f"{len(left)} scores beside {len(right)}: a correlation needs pairs")
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def _once(ranked: Sequence[Hashable]) -> list[Hashable]:
    """The ranking without repetitions: each item counts where it stands first."""
    return list(dict.fromkeys(ranked))
