"""Reading from both ends: torch's own bidirectional layers are the oracle, row by row."""

import pytest
import torch
from torch import nn

from inkstone.layers.both_ways import BothWays

LENGTHS = torch.tensor([11, 1, 4])


def layer(cell):
    made = BothWays(cell, 5, 6)
    made.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("cell, torchs", [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
@torch.no_grad()
def test_each_row_is_read_as_torch_reads_it_alone(cell, torchs):
    ours = layer(cell)
    theirs = torchs(5, 6, bidirectional=True)
    for suffix, direction in (("", ours.ahead), ("_reverse", ours.back)):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(theirs, f"{name}_l0{suffix}").copy_(getattr(direction, name))
    x = torch.randn(11, 3, 5, generator=torch.Generator().manual_seed(2))
    states = ours(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = theirs(x[:length, row : row + 1])
        torch.testing.assert_close(states[:length, row], alone[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_padding_neither_changes_a_state_nor_gets_a_gradient(cell):
    ours = layer(cell)
    x = torch.randn(11, 3, 5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    inside = torch.arange(11)[:, None] < LENGTHS
    states = ours(x, LENGTHS)
    states[inside].square().sum().backward()
    assert x.grad is not None and x.grad[~inside].eq(0).all() and x.grad[inside].ne(0).any(-1).all()
    other = torch.where(inside[..., None], x.detach(), 9.0)
    torch.testing.assert_close(ours(other, LENGTHS)[inside], states[inside])
