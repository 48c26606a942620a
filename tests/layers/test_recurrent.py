"""Recurrent layers against torch.nn's, against the readable cells step by step, and by finite differences."""

import pytest
import torch

from inkstone.layers import recurrent as module
from inkstone.layers.recurrent import (
    CELLS,
    STATES,
    RecurrentLayer,
    embedding_dropout,
    locked_dropout,
    weight_drop,
)

TORCH = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
PLAIN = pytest.mark.parametrize("cell", list(CELLS))


def layer(cell: str, inputs: int = 5, width: int = 4) -> RecurrentLayer:
    made = RecurrentLayer(cell, inputs, width).double()
    generator = torch.Generator().manual_seed(0)
    made.initialise(generator)
    with torch.no_grad():
        for bias in (made.bias_ih, made.bias_hh):
            bias.normal_(generator=generator)
    return made


def some(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def boundaries(t: int, b: int) -> torch.Tensor:
    return torch.rand((t, b), generator=torch.Generator().manual_seed(3)) < 0.3


def step_by_step(made: RecurrentLayer, x, state, begins=None):
    """The definition: one cell after another."""
    outputs = []
    for k, inputs in enumerate(x):
        if begins is not None:
            state = torch.where(begins[k][:, None], 0.0, state)
        recurrent = state[0] @ made.weight_hh.T + made.bias_hh
        state = CELLS[made.cell](inputs @ made.weight_ih.T + made.bias_ih, recurrent, state)
        outputs.append(state[0])
    return torch.stack(outputs), state


@PLAIN
@pytest.mark.parametrize("length", [1, 3, 20])
def test_equal_to_torch(cell, length):
    made = layer(cell)
    theirs = TORCH[cell](5, 4).double()
    theirs.load_state_dict({f"{name}_l0": weight for name, weight in made.state_dict().items()})
    x, state = some(length, 3, 5), some(STATES[cell], 3, 4)
    expected, last = theirs(x, (state[:1], state[1:]) if cell == "lstm" else state)
    for begins in (None, torch.zeros(length, 3, dtype=torch.bool)):  # the fused kernel and our own
        out, after = made(x, state, begins)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(after, torch.cat(last) if cell == "lstm" else last)


@PLAIN
@pytest.mark.parametrize("cut", [False, True])
def test_equal_to_the_cell_step_by_step_with_every_derivative(cell, cut):
    made, x, state = layer(cell), some(12, 3, 5).requires_grad_(), some(STATES[cell], 3, 4).requires_grad_()
    begins = boundaries(12, 3) if cut else torch.zeros(12, 3, dtype=torch.bool)
    weights = [x, state, *made.parameters()]
    found = []
    for way in (made, lambda *given: step_by_step(made, *given)):
        out, last = way(x, state, begins)
        loss = (out * some(12, 3, 4, seed=5)).sum() + (last * some(STATES[cell], 3, 4, seed=6)).sum()
        found.append((out, last, *torch.autograd.grad(loss, weights)))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected)


@PLAIN
def test_fused_and_written_out_agree_in_single_precision(cell, monkeypatch):
    made = layer(cell, 16, 16).float()
    x, state = some(40, 3, 16).float(), torch.zeros(STATES[cell], 3, 16)
    monkeypatch.setattr(module, "SHORTEST_FUSED", 1000)
    ours, _ = made(x, state)
    fused, _ = made._fused(x, state, made.weight_hh)
    torch.testing.assert_close(ours, fused, rtol=1e-4, atol=1e-5)


@PLAIN
def test_derivatives_by_finite_differences(cell):
    made, begins = layer(cell, 3, 2), boundaries(5, 2)
    x, state = some(5, 2, 3).requires_grad_(), some(STATES[cell], 2, 2).requires_grad_()
    weights = [weight.detach().clone().requires_grad_() for weight in made.parameters()]
    names = [name for name, _ in made.named_parameters()]

    def outcome(x, state, *weights):
        return torch.func.functional_call(made, dict(zip(names, weights, strict=True)), (x, state, begins))

    assert torch.autograd.gradcheck(outcome, (x, state, *weights))


@PLAIN
def test_a_document_begins_from_nothing(cell):
    made, x = layer(cell), some(9, 2, 5)
    begins = torch.zeros(9, 2, dtype=torch.bool)
    begins[4, 0] = begins[0, 1] = begins[7, 1] = True
    state, nothing = some(STATES[cell], 2, 4), torch.zeros(STATES[cell], 1, 4, dtype=torch.float64)
    out, last = made(x, state, begins)
    first, _ = made(x[:4, :1], state[:, :1])
    second, after = made(x[4:, :1], nothing)
    torch.testing.assert_close(out[:, :1], torch.cat((first, second)))
    torch.testing.assert_close(last[:, :1], after)
    torch.testing.assert_close(out[:7, 1:], made(x[:7, 1:], nothing)[0])
    torch.testing.assert_close(out[7:, 1:], made(x[7:, 1:], nothing)[0])


@PLAIN
def test_another_recurrent_matrix_may_stand_in(cell):
    made, x, state = layer(cell), some(10, 2, 5), some(STATES[cell], 2, 4)
    other = weight_drop(made.weight_hh, 0.5, torch.Generator().manual_seed(2))
    out, _ = made(x, state, weight_hh=other)
    with torch.no_grad():
        made.weight_hh.copy_(other)
    torch.testing.assert_close(out, made(x, state)[0])


def test_fresh_weights():
    made = RecurrentLayer("lstm", 6, 8)
    made.initialise(torch.Generator().manual_seed(0))
    for gate in made.weight_hh.split(8):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
    assert made.bias_ih.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


def test_locked_dropout_keeps_one_mask_along_a_row_and_the_mean():
    x = torch.ones(7, 50, 200)
    dropped = locked_dropout(x, 0.25, torch.Generator().manual_seed(0))
    assert (dropped == dropped[:1]).all()
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert locked_dropout(x, 0.0) is x


def test_weight_and_embedding_dropout():
    weight = torch.ones(400, 100)
    single = weight_drop(weight, 0.4, torch.Generator().manual_seed(0))
    assert (single == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)
    rows = embedding_dropout(weight, 0.4, torch.Generator().manual_seed(0))
    assert (rows == rows[:, :1]).all()
    assert (rows[:, 0] == 0).float().mean().item() == pytest.approx(0.4, abs=0.1)
    again = embedding_dropout(weight, 0.4, torch.Generator().manual_seed(0))
    assert torch.equal(rows, again)
    assert weight_drop(weight, 0.0) is weight and embedding_dropout(weight, 0.0) is weight
