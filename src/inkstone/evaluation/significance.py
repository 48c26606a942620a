"""Is one system better than another, or was it luck? Tests of two systems on the same texts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Num

from inkstone.errors import TextError
from inkstone.evaluation.intervals import DRAWN_AT_ONCE, Figure

ROUNDING = 1e-12  # differences this close to the observed one count as equal to it


@dataclass(frozen=True)
class PermutationTest:
    """Had it been a matter of chance which system gave which output, how often would they differ as much?"""

    difference: float  # figure of the first system minus that of the second
    p: float  # two-sided
    permutations: int  # how many were looked at
    exact: bool  # whether those were all there are


def permutation_test(
    first: Num[np.ndarray, "n ..."],
    second: Num[np.ndarray, "n ..."],
    figure: Figure,
    permutations: int = 10_000,
    *,
    generator: np.random.Generator,
) -> PermutationTest:
    """The paired permutation test of any figure of sums (approximate randomisation: Noreen 1989; Yeh 2000).

    For each text it is tossed which output belongs to which system. p is the share of tosses, the observed one counted,
    after which the figures differ at least as much as they did. `first` and `second` are the statistics of the two
    systems, row by row for the same texts, and `figure` is as for `intervals.figure_interval`.

    Where fewer texts than log₂(permutations) make a difference at all, every toss is looked at and p is exact. Raises
    TextError where the systems were not given the same texts, or a figure of theirs is not a number.
    """
    if first.shape != second.shape or not len(first):
        raise TextError(
            f"statistics of shape {first.shape} beside {second.shape}: two systems are compared on the same texts"
        )
    shape = first.shape[1:]
    rows, others = (side.reshape(len(side), -1).astype(np.float64) for side in (first, second))
    sums, others_sums = rows.sum(0), others.sum(0)

    def differences(swapped: np.ndarray) -> np.ndarray:
        moved = swapped @ changes
        size = len(swapped)
        return figure((sums + moved).reshape(size, *shape)) - figure((others_sums - moved).reshape(size, *shape))

    changes = others - rows
    changes = changes[changes.any(axis=1)]  # a text on which both did the same changes nothing by being swapped
    n = len(changes)
    observed = float(differences(np.zeros((1, n)))[0])
    if not math.isfinite(observed):
        raise TextError("the figure of at least one of the two systems is not a number, so they cannot be compared")
    exact = n < 63 and 2**n <= permutations
    as_far = 0
    for swapped in _all_tosses(n) if exact else _tosses(n, permutations, generator):
        as_far += int((np.abs(differences(swapped)) >= abs(observed) - ROUNDING).sum())
    if exact:
        return PermutationTest(observed, as_far / 2**n, 2**n, True)
    return PermutationTest(observed, (as_far + 1) / (permutations + 1), permutations, False)


@dataclass(frozen=True)
class McNemarTest:
    """Of the texts that just one system has right, could an even coin have shared them out so unevenly?"""

    only_first: int  # right by the first system alone
    only_second: int
    p: float  # exact, two-sided
    mid_p: float  # the same less half the probability of what was observed on each side; less conservative


def mcnemar_test(first_right: Bool[np.ndarray, " n"], second_right: Bool[np.ndarray, " n"]) -> McNemarTest:
    """The exact test of McNemar (1947) for the accuracies of two classifiers on the same texts.

    With m = min(only_first, only_second) and X binomial over their sum with ½:
        p = min(1, 2 · P(X ≤ m)),   mid-p = 2 · P(X ≤ m) − P(X = m)
    The exact p never rejects too often; mid-p hardly ever does and finds more (Fagerland, Lydersen and Laake 2013).
    Raises TextError where the two differ in length.

    >>> mcnemar_test(np.array([1, 1, 1, 1, 0, 1], bool), np.array([0, 0, 0, 0, 0, 1], bool)).p
    0.125
    """
    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    if first.shape != second.shape:
        raise TextError(f"{len(first)} outcomes beside {len(second)}: two systems are compared on the same texts")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n, least = only_first + only_second, min(only_first, only_second)
    ways = [1]  # n over 0, n over 1, ... n over least, each from the one before it
    for i in range(least):
        ways.append(ways[-1] * (n - i) // (i + 1))
    p = Fraction(2 * sum(ways), 2**n)
    return McNemarTest(only_first, only_second, float(min(p, Fraction(1))), float(p - Fraction(ways[-1], 2**n)))


def _tosses(n: int, permutations: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    at_once = max(1, DRAWN_AT_ONCE // max(1, n))
    for start in range(0, permutations, at_once):
        size = min(at_once, permutations - start)
        bits = np.frombuffer(generator.bytes(size * -(-n // 8)), np.uint8).reshape(size, -1)
        yield np.unpackbits(bits, axis=1, count=n).astype(np.float64)


def _all_tosses(n: int) -> Iterator[np.ndarray]:
    at_once = max(1, DRAWN_AT_ONCE // max(1, n))
    for start in range(0, 2**n, at_once):
        numbers = np.arange(start, min(2**n, start + at_once))
        yield (numbers[:, None] >> np.arange(n) & 1).astype(np.float64)
