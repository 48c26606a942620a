"""Words as 64-bit numbers, so that all that is looked up of them stays in tensors.

    key = size;    key ← key · M + token  for each token of the word

Integers wrap around, on every device alike. Two words with one key are not to be expected: 100,000 words have 5·10⁹ pairs,
against 2·10¹⁹ keys.
"""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

MULTIPLIER = 0x5851F42D4C957F2D  # that of the linear congruential generator of MMIX (Knuth)
FEWEST = 2  # times that a key must be seen to count as known
MOST_WORDS = 100_000  # known keys, the most frequent


def key_of(tokens: Int[Tensor, "w k"], size: Int[Tensor, " w"]) -> Int[Tensor, " w"]:
    """A number for each sequence of tokens; 0 is no token and passed over. `size` is that of the whole word.

    >>> key_of(torch.tensor([[3, 4], [3, 0]]), torch.tensor([2, 1])).tolist() == [
    ...     ((2 * MULTIPLIER + 3) * MULTIPLIER + 4 + 2**63) % 2**64 - 2**63, (MULTIPLIER + 3 + 2**63) % 2**64 - 2**63
    ... ]
    True
    """
    key = size
    for column in tokens.unbind(1):
        key = torch.where(column > 0, key * MULTIPLIER + column, key)
    return key


def rows_of(known: Int[Tensor, " n"], keys: Int[Tensor, " w"]) -> Int[Tensor, " w"]:
    """The row of each key among those that are known, which are sorted, from 1; 0 where it is unknown.

    >>> rows_of(torch.tensor([2, 5, 9]), torch.tensor([9, 3, 2])).tolist()
    [3, 0, 1]
    """
    if not len(known):
        return torch.zeros_like(keys)
    at = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return torch.where(known[at] == keys, at + 1, 0)


def frequent(keys: np.ndarray) -> np.ndarray:
    """Those that occur often enough, sorted.

    >>> frequent(np.array([7, 5, 7, 6, 5])).tolist()
    [5, 7]
    """
    found, times = np.unique(keys, return_counts=True)
    often = np.argsort(-times, kind="stable")[:MOST_WORDS]
    return np.sort(found[often[times[often] >= FEWEST]])
