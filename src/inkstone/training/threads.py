"""How many threads a run should use: measured, for on a machine that has other work fewer can be many times as fast.

The threads of a product wait for the slowest of them. Where another program has taken a core, that one waits for its turn,
some hundredths of a second, and all others wait with it.
"""

import time
from collections.abc import Callable
from statistics import median

import torch

FASTER = 0.9  # of the time with more threads: what a step with fewer must come to before they are taken
FAR_FASTER = 0.3  # likewise of a product, which is too small to use many threads well
ROUNDS = 3  # of timing two numbers of threads in turn
PROBE = 0.1  # seconds of products with each number of threads


def products_by_threads(most: int, width: int) -> dict[int, float]:
    """Mean seconds of a product of the size that a model of this width has many of, with `most` threads, with half of
    them, and so on as long as fewer are far faster.
    """
    rows, matrix = torch.ones(512, width), torch.ones(width, 3 * width)
    tried, threads = {}, most
    while threads not in tried:
        torch.set_num_threads(threads)
        torch.mm(rows, matrix)
        count, begin = 0, time.perf_counter()
        while not count or time.perf_counter() < begin + PROBE:
            torch.mm(rows, matrix)
            count += 1
        tried[threads] = (time.perf_counter() - begin) / count
        if chosen_threads(tried, FAR_FASTER) == threads:
            threads = max(1, threads // 2)
    return tried


def steps_by_threads(step: Callable[[], None], most: int, seconds: float) -> dict[int, float]:
    """Median seconds of a step with `most` threads, with half of them, and so on as long as fewer are faster.

    Nothing is begun that would not end within `seconds`, even if half the threads took twice as long. Empty where there
    was no time to try fewer.
    """
    end, tried, threads = time.perf_counter() + seconds, {}, most
    while threads > 1:
        found = _in_turn(step, threads, threads // 2, end)
        tried |= found
        if not found or chosen_threads(found, FASTER) != threads // 2:
            break
        threads //= 2
    return tried


def chosen_threads(tried: dict[int, float], share: float) -> int:
    """The number of threads to take of those that were tried, most first: fewer where they need at most this share of the time.

    >>> [chosen_threads(tried, 0.9) for tried in ({4: 1.0, 2: 0.7, 1: 0.69}, {2: 1.0, 1: 1.8})]
    [2, 2]
    """
    best, *fewer = tried
    for number in fewer:
        if tried[number] <= share * tried[best]:
            best = number
    return best


def told(what: str, tried: dict[int, float]) -> str:
    """What was measured, in words.

    >>> told("a step", {2: 0.31, 1: 0.0052})
    'measured here: a step takes 310 ms with 2 and 5.2 ms with 1'
    """
    return f"measured here: {what} takes " + " and ".join(
        f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms with {threads}" for threads, seconds in tried.items()
    )


def _in_turn(step: Callable[[], None], threads: int, fewer: int, end: float) -> dict[int, float]:
    """Median seconds of a step with each number of threads; empty where the time is too short for both."""
    times: dict[int, list[float]] = {threads: [], fewer: []}
    for number in (threads, fewer) * ROUNDS:
        begin = time.perf_counter()
        if begin + max(times[threads], default=0.0) * threads / number > end:
            break
        torch.set_num_threads(number)
        step()
        times[number].append(time.perf_counter() - begin)
    return {number: median(found) for number, found in times.items()} if times[fewer] else {}
