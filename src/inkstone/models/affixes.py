"""Beginnings and endings of words, each with a vector of its own: what they say of a word is the sum over those it has.

    affixes(w) = Σ over n = 1 … 5 of v(first n characters) + v(last n characters)

in lower case, of those that the examples have at least twice. It is what the templates of a CRF see of a word, beside what
filters over characters learn to see. Sources: Ratnaparkhi 1996 (affixes as features), Bojanowski et al. 2017 (a sum of parts).
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.models.word_keys import key_of, rows_of

LONGEST = 5  # characters of an affix
DEVIATION = 0.1  # of the numbers in fresh vectors: about ten are added


class Affixes(nn.Module):
    """So many affixes, known by their keys, with vectors of `width`; those that are unknown add nothing."""

    keys: Tensor

    def __init__(self, affixes: int, width: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(affixes, dtype=torch.int64))
        self.vectors = nn.EmbeddingBag(affixes + 1, width, mode="sum", padding_idx=0)

    @torch.no_grad()
    def hold(self, keys: np.ndarray) -> None:
        """Take these affixes, their keys sorted."""
        self.keys.copy_(torch.from_numpy(keys))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fresh vectors with `DEVIATION`."""
        self.vectors.weight.normal_(0, DEVIATION, generator=generator)
        self.vectors.weight[0] = 0

    def forward(self, keys: Int[Tensor, "w affixes"]) -> Float[Tensor, "w width"]:
        """The sum for each word, given as `affix_keys`."""
        return self.vectors(rows_of(self.keys, keys.flatten()).view_as(keys))


def affix_keys(tokens: Int[Tensor, "w k"], size: Int[Tensor, " w"]) -> Int[Tensor, "w affixes"]:
    """The keys of all beginnings, then of all endings of each word, shortest first; 0 where the word is shorter.

    `tokens` are those of the words in lower case, 0 after the end, and `size` how many each has.
    """
    beginnings, endings = [], []
    for length in range(1, LONGEST + 1):
        at = torch.arange(min(length, tokens.shape[1]), device=tokens.device)
        last = (size[:, None] - length + at).clamp(min=0, max=tokens.shape[1] - 1)
        for found, part, sign in (
            (beginnings, tokens[:, at], -length),
            (endings, tokens.gather(1, last), -LONGEST - length),
        ):
            found.append(torch.where(size >= length, key_of(part, torch.full_like(size, sign)), 0))
    return torch.stack(beginnings + endings, dim=1)
