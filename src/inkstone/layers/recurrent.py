"""Recurrent cells: the Elman network, long short-term memory, the gated recurrent unit, and how they are regularised.

A cell reads x (b, m) and its state (s, b, n), and gives the next state; state[0] is the output h. Weights and the order
of gates are those of torch.nn.RNN, LSTM and GRU: W (gates·n, m), U (gates·n, n), and two biases. a_i is the part of
W x + b_ih + U h + b_hh that belongs to gate i:

    rnn   h′ = tanh(a)                                                     (Elman 1990)
    lstm  i, f, o = σ(a_i), σ(a_f), σ(a_o);  g = tanh(a_g)                 (Hochreiter & Schmidhuber 1997;
          c′ = f ⊙ c + i ⊙ g;  h′ = o ⊙ tanh(c′)                            forget gate: Gers et al. 2000)
    gru   r, z = σ(a_r), σ(a_z);  ñ = tanh((W x + b_ih)_n + r ⊙ (U h + b_hh)_n)
          h′ = (1 − z) ⊙ ñ + z ⊙ h                                         (Cho et al. 2014)
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from inkstone.layers.through_time import elman_through_time, gru_through_time, lstm_through_time

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
STATES = {"rnn": 1, "lstm": 2, "gru": 1}  # h, and for the LSTM also c
SHORTEST_FUSED = 8  # steps; for fewer, preparing torch's kernel costs more than it saves


def rnn_cell(
    inputs: Float[Tensor, "b n"], recurrent: Float[Tensor, "b n"], state: Float[Tensor, "1 b n"]
) -> Float[Tensor, "1 b n"]:
    """h′ = tanh(W x + b_ih + U h + b_hh), given the two halves of the sum."""
    return torch.tanh(inputs + recurrent)[None]


def lstm_cell(
    inputs: Float[Tensor, "b gates"], recurrent: Float[Tensor, "b gates"], state: Float[Tensor, "2 b n"]
) -> Float[Tensor, "2 b n"]:
    """c′ = f ⊙ c + i ⊙ g and h′ = o ⊙ tanh(c′), given W x + b_ih and U h + b_hh."""
    i, f, g, o = (inputs + recurrent).chunk(4, dim=-1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return torch.stack((o.sigmoid() * c.tanh(), c))


def gru_cell(
    inputs: Float[Tensor, "b gates"], recurrent: Float[Tensor, "b gates"], state: Float[Tensor, "1 b n"]
) -> Float[Tensor, "1 b n"]:
    """h′ = (1 − z) ⊙ ñ + z ⊙ h, given W x + b_ih and U h + b_hh: the reset gate acts on the candidate's half of U h."""
    x_r, x_z, x_n = inputs.chunk(3, dim=-1)
    h_r, h_z, h_n = recurrent.chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    candidate = torch.tanh(x_n + r * h_n)
    return ((1 - z) * candidate + z * state[0])[None]


CELLS = {"rnn": rnn_cell, "lstm": lstm_cell, "gru": gru_cell}


class RecurrentLayer(nn.Module):
    """One cell read along a sequence, time first. The weights are laid out as in torch.nn.RNN, LSTM and GRU."""

    def __init__(self, cell: str, inputs: int, width: int):
        super().__init__()
        self.cell = cell
        self.width = width
        self.weight_ih = nn.Parameter(torch.empty(GATES[cell] * width, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES[cell] * width, width))
        self.bias_ih = nn.Parameter(torch.zeros(GATES[cell] * width))
        self.bias_hh = nn.Parameter(torch.zeros(GATES[cell] * width))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """W normal with deviation 1/√fan-in; U orthogonal gate by gate (Saxe et al. 2014); biases zero, but the
        LSTM's forget gate begins open, at 1 (Józefowicz et al. 2015).
        """
        self.weight_ih.normal_(0, 1 / math.sqrt(self.weight_ih.shape[1]), generator=generator)
        for gate in self.weight_hh.split(self.width):
            nn.init.orthogonal_(gate, generator=generator)
        self.bias_ih.zero_()
        self.bias_hh.zero_()
        if self.cell == "lstm":
            self.bias_ih[self.width : 2 * self.width].fill_(1.0)

    def forward(
        self,
        x: Float[Tensor, "t b m"],
        state: Float[Tensor, "s b n"],
        begins: Bool[Tensor, "t b"] | None = None,
        weight_hh: Float[Tensor, "gates n"] | None = None,
    ) -> tuple[Float[Tensor, "t b n"], Float[Tensor, "s b n"]]:
        """The output after each step, and the state after the last.

        begins: where a document begins; the state before it is zeros there. weight_hh: used in place of the layer's own
        recurrent matrix (weight drop).
        """
        weight = self.weight_hh if weight_hh is None else weight_hh
        if begins is None and len(x) >= SHORTEST_FUSED and (self.cell == "lstm" or x.device.type != "cpu"):
            return self._fused(x, state, weight)
        keep = None if begins is None else (~begins)[..., None].to(x.dtype)
        if self.cell == "gru":
            projected = F.linear(x, self.weight_ih, self.bias_ih)
            h = gru_through_time(projected, state[0], weight, self.bias_hh, keep)
            return h, h[-1:]
        projected = F.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)
        if self.cell == "rnn":
            h = elman_through_time(projected, state[0], weight, keep)
            return h, h[-1:]
        h, c = lstm_through_time(projected, state[0], state[1], weight, keep)
        return h, torch.stack((h[-1], c))

    def _fused(self, x: Tensor, state: Tensor, weight_hh: Tensor) -> tuple[Tensor, Tensor]:
        """Torch's own kernel: oneDNN's for the LSTM on a CPU, cuDNN's on a GPU."""
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        shape = (True, 1, 0.0, self.training, False, False)  # biases, layers, dropout, training, both ways, batch first
        if self.cell == "lstm":
            h, last, cell = torch.lstm(x, (state[:1], state[1:]), weights, *shape)
            return h, torch.cat((last, cell))
        kernel = torch.gru if self.cell == "gru" else torch.rnn_tanh
        return kernel(x, state, weights, *shape)


def locked_dropout(
    x: Float[Tensor, "t b n"], share: float, generator: torch.Generator | None = None
) -> Float[Tensor, "t b n"]:
    """Dropout with one mask for all steps of a row, scaled by 1/(1 − share) (variational: Gal & Ghahramani 2016)."""
    return x if not share else x * _mask(x.new_empty(1, *x.shape[1:]), share, generator)


def weight_drop(
    weight: Float[Tensor, "m n"], share: float, generator: torch.Generator | None = None
) -> Float[Tensor, "m n"]:
    """DropConnect on a recurrent matrix, one mask for the whole sequence (AWD-LSTM, Merity et al. 2018, section 2)."""
    return weight if not share else weight * _mask(torch.empty_like(weight), share, generator)


def embedding_dropout(
    weight: Float[Tensor, "v n"], share: float, generator: torch.Generator | None = None
) -> Float[Tensor, "v n"]:
    """Whole rows, hence whole words, left out everywhere in a batch (Gal & Ghahramani 2016; Merity et al. 2018, 4.3)."""
    return weight if not share else weight * _mask(weight.new_empty(len(weight), 1), share, generator)


def _mask(like: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Zeros and 1/(1 − share), drawn where the generator is: a run's own is on the CPU whatever the model is on."""
    device = like.device if generator is None else generator.device
    return torch.empty(like.shape, device=device).bernoulli_(1 - share, generator=generator).div_(1 - share).to(like)
