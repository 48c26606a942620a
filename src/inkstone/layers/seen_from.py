"""States of words seen from one of them: what a word is to the predicate that is asked about, the text being read once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.layers.both_ways import BothWays
from inkstone.layers.recurrent import locked_dropout

ASKED = 1  # the place of the words that are asked about


class SeenFrom(nn.Module):
    """Words as they stand to the one that is asked about, narrower than their own states, to which that is added:

        zᵢ = relu(W hᵢ + P h_asked + place(i))        z ← z + BiLSTM(z), for each layer        h'ᵢ = hᵢ + U zᵢ

    The upper layers of He et al. 2017, on words that were read once for all that is asked about them.
    """

    def __init__(self, inputs: int, width: int, n_layers: int, places: int, dropout: float):
        """`inputs` numbers of a state, `width` of z, `places` the highest number of one."""
        super().__init__()
        self.dropout = dropout
        self.own = nn.Linear(inputs, width)
        self.asked = nn.Linear(inputs, width, bias=False)
        self.place = nn.Embedding(places + 1, width)
        self.layers = nn.ModuleList(BothWays("lstm", width, width // 2) for _ in range(n_layers))
        self.back = nn.Linear(width, inputs, bias=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, deviation: float) -> None:
        """Fresh weights: matrices with 1/√fan-in, places with this deviation."""
        for linear in (self.own, self.asked, self.back):
            linear.weight.normal_(0, linear.in_features**-0.5, generator=generator)
        assert self.own.bias is not None
        self.own.bias.zero_()
        self.place.weight.normal_(0, deviation, generator=generator)
        for layer in self.layers:
            assert isinstance(layer, BothWays)
            layer.initialise(generator)

    def forward(
        self, states: Float[Tensor, "b n m"], focus: Int[Tensor, "b n"], valid: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n m"]:
        """The states of the words of each row, seen from those with focus 1; from nowhere where none has it."""
        dropout = self.dropout if self.training else 0.0
        given, states = states, locked_dropout(states.transpose(0, 1), dropout).transpose(0, 1)
        asked = ((focus == ASKED) & valid).to(states)
        about = (asked[..., None] * states).sum(1) / asked.sum(1, keepdim=True).clamp(min=1)
        z = torch.relu(
            self.own(states) + self.asked(about)[:, None] + self.place(focus.clamp(max=self.place.num_embeddings - 1))
        )
        z, lengths = z.transpose(0, 1), valid.sum(1)
        for layer in self.layers:
            z = z + layer(locked_dropout(z, dropout), lengths)
        return given + self.back(z).transpose(0, 1)
