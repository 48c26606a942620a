"""From counts of n-grams to probabilities: modified Kneser–Ney, add-k, stupid backoff.

Each gives, for every n-gram that was kept, log p(wₙ | w₁ … wₙ₋₁), and for every context h a log weight b(h) of what was
not seen after it. Kneser–Ney and stupid backoff are then read by the one rule of backoff models,

    p(w | h) = the entry of hw if there is one, else b(h) · p(w | h without its first word);

under add-k, b(h) is itself the probability of each word not seen after h. Below the single words lies the uniform
distribution, so that no word is impossible, save a begin token that is not the end token too: it is always given.

Pruning leaves out the n-grams of order 3 and above that came fewer than `min_count` times. What they had goes to the
unseen words, so the distributions stay whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from inkstone.models.ngram_counts import Level

FALLBACK = (0.5, 1.0, 1.5)  # discounts where a text is too small to tell its own


@dataclass
class Table:
    """One order of a model: its n-grams as sorted keys (`ngram_counts`), and their natural logarithms."""

    keys: np.ndarray  # int64 (n,)
    log_probability: np.ndarray  # float32 (n,)
    log_backoff: np.ndarray  # float32 (n,), empty for the highest order: nothing follows


@dataclass
class Order:
    """One order in the making: its level, grouped by context, and what the order below came to."""

    n: int
    level: Level
    prefix: np.ndarray  # row of the context of each n-gram
    contexts: int
    kept: np.ndarray  # bool
    adjusted: np.ndarray  # counts as Kneser–Ney takes them

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum over the words after each context."""
        return np.bincount(self.prefix, values, self.contexts)


# Of an order: the probability of each n-gram, and the backoff weight of each context.
Smoothing = Callable[[Order], tuple[np.ndarray, np.ndarray]]


def smoothed(levels: list[Level], smoothing: Smoothing, min_count: int = 1) -> list[Table]:
    """The model that a smoothing makes of counts."""
    vocab_size = len(levels[0].keys)
    made: list[Table] = []
    new_row = np.arange(vocab_size)  # of each n-gram one order below, −1 where it was pruned
    for order in _orders(levels, min_count):
        probability, backoff = smoothing(order)
        keys, kept = order.level.keys, order.kept
        if made:
            # A context that was pruned has no word left after it either, so its weight is never asked for.
            made[-1].log_backoff = _log(backoff)[new_row >= 0]
            keys = new_row[order.prefix] * vocab_size + keys % vocab_size
        made.append(Table(keys[kept], _log(probability[kept]), np.zeros(0, np.float32)))
        new_row = np.where(kept, np.cumsum(kept) - 1, -1)
    return made


def kneser_ney(possible: np.ndarray) -> Smoothing:
    """Interpolated modified Kneser–Ney (Chen & Goodman 1998, section 3); `possible` (v,) says what can be predicted.

        p(w | h) = (a(hw) − D(a(hw))) / Σ a(h•) + γ(h) p(w | h'),    h' = h without its first word
        γ(h)     = Σ D(a(h•)) / Σ a(h•)

    a is the count in the highest order. In the lower ones it is the continuation count, the number of different words
    that stand before; n-grams that open a document have nothing before them and keep their count.
    D is one of three discounts for a = 1, 2, and 3 or more, estimated for each order (`discounts`).
    """
    lower = possible / possible.sum()

    def smooth(order: Order) -> tuple[np.ndarray, np.ndarray]:
        nonlocal lower
        a = order.adjusted
        discount = np.array([0.0, *discounts(a)])[np.minimum(a, 3)]
        total = order.total(a)
        divisor = np.maximum(total, 1)
        left = np.where(total > 0, order.total(np.where(order.kept, discount, a)) / divisor, 1.0)
        shorter = lower if order.n == 1 else lower[order.level.suffix]
        lower = (a - discount) / divisor[order.prefix] + left[order.prefix] * shorter
        return lower, left

    return smooth


def discounts(adjusted: np.ndarray) -> tuple[float, float, float]:
    """D₁, D₂, D₃₊ of one order from t_k, how many n-grams have the (adjusted) count k:

        Y = t₁ / (t₁ + 2 t₂),   D_k = k − (k + 1) Y t_{k+1} / t_k

    Where the text is too small for that (some t_k is 0, or a discount does not lie in 0 … k), the fixed ½, 1, 1½.
    """
    t = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(float)
    if not t[1:5].all():
        return FALLBACK
    y = t[1] / (t[1] + 2 * t[2])
    one, two, three = (float(k - (k + 1) * y * t[k + 1] / t[k]) for k in (1, 2, 3))
    return (one, two, three) if 0 < one <= 1 and 0 < two <= 2 and 0 < three <= 3 else FALLBACK


def add_k(possible: np.ndarray, k: float) -> Smoothing:
    """p(w | h) = (c(hw) + k) / (c(h•) + k V) with the longest context h that was seen (Lidstone 1920)."""

    def smooth(order: Order) -> tuple[np.ndarray, np.ndarray]:
        count = np.where(order.kept, order.level.count, 0)
        total = order.total(count)
        each = 1 / (total + k * possible.sum())
        probability = (count + k) * each[order.prefix]
        return probability * possible if order.n == 1 else probability, np.where(total > 0, k * each, 1.0)

    return smooth


def stupid_backoff(possible: np.ndarray, factor: float) -> Smoothing:
    """Stupid backoff (Brants et al. 2007), made a distribution.

        S(w | h) = c(hw) / c(h•) if hw was seen, else factor · S(w | h'),     p(w | h) = S(w | h) / Z(h)

    The published scores do not sum to one. Z(h) = Σ S(•|h) needs no sum over the vocabulary: what was not seen after h
    adds up to factor · (Z(h') − Σ S(w | h') over the w that were).
    """
    lower, z = possible / possible.sum(), np.ones(1)
    suffix_of_context = np.zeros(1, dtype=np.int64)

    def smooth(order: Order) -> tuple[np.ndarray, np.ndarray]:
        nonlocal lower, z, suffix_of_context
        seen = order.kept & (order.level.count > 0)
        count = np.where(seen, order.level.count, 0)
        total = order.total(count)
        under = lower if order.n == 1 else lower[order.level.suffix]
        shorter = z[suffix_of_context]  # Z(h')
        unseen = factor * (shorter - order.total(np.where(seen, under, 0.0)))
        z = np.where(total > 0, 1.0 + unseen, shorter)
        lower = np.where(seen, count / np.maximum(total, 1)[order.prefix], factor * under)
        suffix_of_context = order.level.suffix
        return lower / z[order.prefix], np.where(total > 0, factor * shorter / z, 1.0)

    return smooth


def _orders(levels: list[Level], min_count: int) -> Iterator[Order]:
    for n, level in enumerate(levels, 1):
        highest = n == len(levels)
        adjusted = level.count if highest else np.bincount(levels[n].suffix, minlength=len(level.keys))
        if n == 1:
            prefix, contexts, kept = np.zeros(len(level.keys), np.int64), 1, np.ones(len(level.keys), bool)
        else:
            prefix, contexts = level.keys // len(levels[0].keys), len(levels[n - 2].keys)
            kept = level.count >= (min_count if n > 2 else 1)
            adjusted = np.where(level.opens, level.count, adjusted)
        yield Order(n, level, prefix, contexts, kept, adjusted)


def _log(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):  # the probability of a begin token is 0
        return np.log(x).astype(np.float32)
