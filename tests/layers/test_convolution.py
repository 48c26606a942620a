"""The gated convolution against torch's conv1d, a plain loop and finite differences."""

import pytest
import torch
import torch.nn.functional as F

from inkstone.layers.convolution import GatedConvolution, causal_windows, visible_inputs


def some(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def convolution(kernel: int, inputs: int = 3, outputs: int = 4) -> GatedConvolution:
    made, generator = GatedConvolution(inputs, outputs, kernel).double(), torch.Generator().manual_seed(0)
    made.initialise(generator)
    with torch.no_grad():
        made.bias.normal_(generator=generator)
    return made


@pytest.mark.parametrize("kernel", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 3, 9])
def test_equal_to_torch_conv1d_behind_zeros(kernel, length):
    made, x = convolution(kernel), some(2, length, 3)
    y, after = made(x, x.new_zeros(2, kernel - 1, 3))
    weight = made.weight.unflatten(1, (kernel, 3)).transpose(1, 2)
    padded = F.pad(x.transpose(1, 2), (kernel - 1, 0))
    plain, gate = F.conv1d(padded, weight, made.bias).transpose(1, 2).chunk(2, dim=-1)
    torch.testing.assert_close(y, plain * gate.sigmoid())
    torch.testing.assert_close(after, padded.transpose(1, 2)[:, length:])


@pytest.mark.parametrize("pieces", [[1] * 9, [4, 5], [2, 6, 1]])
def test_read_in_pieces_is_read_as_a_whole(pieces):
    made, x = convolution(4), some(2, 9, 3)
    state = x.new_zeros(2, 3, 3)
    whole, _ = made(x, state)
    parts = []
    for piece in x.split(pieces, dim=1):
        y, state = made(piece, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_no_window_leaves_its_document(kernel):
    made, x = convolution(kernel), some(1, 12, 3)
    lengths = [2, 1, 9]
    document = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    before = some(1, kernel - 1, 3, seed=8)  # what lies before the row belongs to none of its documents
    packed, _ = made(x, before, visible_inputs(document, kernel))
    alone = [made(part, x.new_zeros(1, kernel - 1, 3))[0] for part in x.split(lengths, dim=1)]
    torch.testing.assert_close(packed, torch.cat(alone, dim=1))


def test_windows_by_hand():
    x, before = torch.arange(1.0, 7).view(1, 3, 2), torch.tensor([[[-1.0, -2.0]]])
    windows, after = causal_windows(x, before)
    assert windows.tolist() == [[[-1, -2, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]]
    assert after.tolist() == [[[5, 6]]]


def test_derivatives():
    made = convolution(3, 2, 2)
    visible = visible_inputs(torch.tensor([[0, 0, 1, 1, 1]]), 3)
    names = [name for name, _ in made.named_parameters()]

    def outcome(x, before, *weights):
        return torch.func.functional_call(made, dict(zip(names, weights, strict=True)), (x, before, visible))

    given = [some(1, 5, 2), some(1, 2, 2), *(weight.detach() for weight in made.parameters())]
    assert torch.autograd.gradcheck(outcome, tuple(tensor.requires_grad_() for tensor in given))
