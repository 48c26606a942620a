"""A recurrent layer that reads each row from both ends: what it says of a step knows all of the row.

    →hₜ = cell(xₜ, →hₜ₋₁)    ←hₜ = cell(xₜ, ←hₜ₊₁)    hₜ = [→hₜ ; ←hₜ]

Rows are padded at their end. The backward cell reads each row turned round within its own length, so that padding stands at
the end of both readings and changes nothing. Sources: Schuster & Paliwal 1997; for LSTMs Graves & Schmidhuber 2005.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.layers.recurrent import STATES, RecurrentLayer


class BothWays(nn.Module):
    """Two cells of `width`, one for each direction; the output is twice as wide."""

    def __init__(self, cell: str, inputs: int, width: int):
        super().__init__()
        self.ahead = RecurrentLayer(cell, inputs, width)
        self.back = RecurrentLayer(cell, inputs, width)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights of both."""
        self.ahead.initialise(generator)
        self.back.initialise(generator)

    def forward(self, x: Float[Tensor, "t b m"], lengths: Int[Tensor, " b"]) -> Float[Tensor, "t b n"]:
        """The states, time first as the input. What stands after the end of a row means nothing."""
        at = torch.arange(x.shape[0], device=x.device)[:, None]
        turned = torch.where(at < lengths, lengths - 1 - at, at)[..., None]
        start = x.new_zeros(STATES[self.ahead.cell], x.shape[1], self.ahead.width)
        ahead, _ = self.ahead(x, start)
        back, _ = self.back(x.gather(0, turned.expand_as(x)), start)
        return torch.cat((ahead, back.gather(0, turned.expand_as(back))), dim=-1)
