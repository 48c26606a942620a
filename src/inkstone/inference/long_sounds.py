"""Recordings that are longer than what is heard at once: pieces that overlap, and one row of frames made of what was heard in each.

In an overlap both pieces were heard. The left one is followed up to a frame where both say that nothing is spoken, the right one from
there on: the frame at which the less certain of the two gives the blank the most. So no word is cut, and none is heard twice.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

OVERLAP = 400  # frames: four seconds
MULTIPLE = 4  # frames: a piece begins where a state does


def piece_bounds(frames: int, most: int) -> list[tuple[int, int]]:
    """Where the pieces of so many frames begin and end, each of at most `most`.

    >>> piece_bounds(50, 100), piece_bounds(100, 48)
    ([(0, 50)], [(0, 48), (36, 84), (72, 100)])
    """
    most -= most % MULTIPLE
    if frames <= most:
        return [(0, frames)]
    step = step_of(most)
    begins = range(0, max(1, frames - (most - step)), step)
    return [(begin, min(begin + most, frames)) for begin in begins]


def step_of(most: int) -> int:
    """Frames from the beginning of one piece to that of the next, of pieces of so many."""
    step = most - min(OVERLAP, most // 4)
    return max(MULTIPLE, step - step % MULTIPLE)


def stitched(
    heard: Sequence[Float[np.ndarray, "s v"]], begins: Sequence[int], blank: int
) -> Float[np.ndarray, "all v"]:
    """The log-probabilities of the whole, of those of its pieces, which begin at these states."""
    whole = heard[0]
    for piece, begin in zip(heard[1:], begins[1:], strict=True):
        left, shared = whole[begin:], min(len(whole) - begin, len(piece))
        both = np.minimum(left[:shared, blank], piece[:shared, blank])
        # Of frames that are as silent, the one nearest to the middle: there both have heard most of what stands around.
        silent = np.flatnonzero(both >= both.max() - 1e-3) if shared else np.zeros(1, dtype=np.int64)
        cut = int(silent[np.argmin(np.abs(silent - shared / 2))])
        whole = np.concatenate((whole[: begin + cut], piece[cut:]))
    return whole
