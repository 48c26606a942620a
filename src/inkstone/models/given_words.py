"""Words whose vectors were learned from other text, and stay as they are while a reader learns from few examples.

Were they to learn, the words of the examples would move away from those of like meaning that the examples lack. In text
that is read by single characters, the words found in it say what their characters mean together:

    around(i) = [ v(longest word that begins at i) ; v(longest that ends at i) ; v(longest with i inside) ; their lengths ]

after SoftLexicon (Ma et al. 2020), with the longest word in place of a weighted sum of all.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.models.word_keys import key_of, rows_of

LONGEST = 4  # units of a word that is looked for
PLACES = 3  # of a unit in a word: first, last, inside
TOKENS = 4  # of a unit at most: a character, or its bytes where the tokenizer lacks it


class GivenWords(nn.Module):
    """So many words, known by their keys (`word_keys`), with vectors of `width`; row 0 is that of a word without one."""

    keys: Tensor
    vectors: Tensor

    def __init__(self, words: int, width: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(words, dtype=torch.int64))
        self.register_buffer("vectors", torch.zeros(words + 1, width))

    @torch.no_grad()
    def hold(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        """Take these words, their keys sorted, and their vectors (words, width)."""
        self.keys.copy_(torch.from_numpy(keys))
        self.vectors[1:] = torch.from_numpy(np.ascontiguousarray(vectors)).to(self.vectors)

    @staticmethod
    def width_around(width: int) -> int:
        """Numbers in what `around` says of a unit."""
        return PLACES * (width + LONGEST - 1)

    def rows(self, keys: Int[Tensor, " w"]) -> Int[Tensor, " w"]:
        """The row of each word; 0 where it has no vector."""
        return rows_of(self.keys, keys)

    def around(
        self, tokens: Int[Tensor, "w k"], size: Int[Tensor, " w"], text: Int[Tensor, " w"]
    ) -> Float[Tensor, "w around"]:
        """Of the words of two to `LONGEST` units around each unit the vectors and lengths.

        `tokens` and `size` are those of the units as `key_of` takes them, text after text; what is longer than a character
        and its bytes is part of no word. `text` is the number of the text that a unit stands in: no word reaches into the next.
        """
        count = len(size)
        at = torch.arange(count, device=size.device)
        rows, lengths = size.new_zeros(PLACES, count), size.new_zeros(PLACES, count)
        single, tokens = size <= TOKENS, tokens[:, :TOKENS]
        for units in range(2, LONGEST + 1):
            reach = at[:, None] + torch.arange(units, device=size.device)
            inside = reach.clamp(max=count - 1)
            whole = (reach[:, -1] < count) & (text[inside[:, -1]] == text) & single[inside].all(1)
            found = torch.where(whole, self.rows(key_of(tokens[inside].flatten(1), size[inside].sum(1))), 0)
            for step in range(units):
                place = 0 if step == 0 else 1 if step == units - 1 else 2
                there = F.pad(found, (step, 0))[:count]
                rows[place] = torch.where(there > 0, there, rows[place])
                lengths[place] = torch.where(there > 0, units, lengths[place])
        told = F.one_hot(lengths, LONGEST + 1)[..., 2:].to(self.vectors)
        return torch.cat((*self.vectors[rows], *told), dim=-1)
