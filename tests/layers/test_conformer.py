"""The Conformer block: its parts against plain loops, and that padding is not heard."""

import torch
import torch.nn.functional as F

from inkstone.layers.conformer import ConformerBlock, ConformerConvolution, initialise_block
from inkstone.layers.rotary import frequencies, rotation


def block(width=16, heads=2, kernel=5):
    made = ConformerBlock(width, heads, 32, kernel)
    initialise_block(made, torch.Generator().manual_seed(0))
    return made, frequencies(width // heads, 10_000.0)


def test_the_convolution_is_its_formula():
    torch.manual_seed(0)
    part, x = ConformerConvolution(6, 3), torch.randn(1, 7, 6)
    plain, gate = part.into(x)[0].chunk(2, dim=-1)
    gated = plain * torch.sigmoid(gate)
    padded = torch.cat((torch.zeros(1, 6), gated, torch.zeros(1, 6)))
    weight = part.depthwise.weight[:, 0]  # (features, kernel)
    rows = [(padded[at : at + 3] * weight.T).sum(0) + part.depthwise.bias for at in range(7)]
    expected = part.out(F.silu(part.norm(torch.stack(rows))))
    assert torch.allclose(part(x, torch.ones(1, 7, dtype=torch.bool))[0], expected, atol=1e-6)


def test_padding_is_not_heard():
    made, omega = block()
    x, valid = torch.randn(2, 9, 16), torch.ones(2, 9, dtype=torch.bool)
    valid[1, 6:] = False
    together = made(x, valid, rotation(omega, 0, 9))
    other = x.clone()
    other[1, 6:] = 7.0
    assert torch.allclose(made(other, valid, rotation(omega, 0, 9))[1, :6], together[1, :6], atol=1e-5)
    alone = made(x[1:, :6], valid[1:, :6], rotation(omega, 0, 6))
    assert torch.allclose(alone[0], together[1, :6], atol=1e-5)


def test_positions_are_known_by_distance_alone():
    made, omega = block()
    x, valid = torch.randn(1, 8, 16), torch.ones(1, 8, dtype=torch.bool)
    near, far = (made(x, valid, rotation(omega, start, 8)) for start in (0, 100))
    assert torch.allclose(near, far, atol=1e-4)


def test_weights_are_drawn_from_the_generator():
    one, other = (dict(block()[0].named_parameters()) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert abs(one["qkv.weight"].std() - 0.25) < 0.02 and one["norm.weight"].eq(1).all()
    assert one["convolution.norm.weight"].eq(1).all() and one["qkv.bias"].eq(0).all()
