"""Norms against their formulas, written out in double precision."""

import torch

from inkstone.layers.normalisation import LayerNorm, RMSNorm


def randomised(norm):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return norm.double()


X = torch.randn(3, 4, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_root_mean_square():
    norm = randomised(RMSNorm(10, eps=0.1))
    torch.testing.assert_close(norm(X), X / (X.square().mean(-1, keepdim=True) + 0.1).sqrt() * norm.weight)


def test_layer_norm():
    norm = randomised(LayerNorm(10, eps=0.1))
    centred = X - X.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 0.1).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm(X), expected)


def test_a_new_norm_only_normalises():
    assert torch.equal(RMSNorm(10).weight, torch.ones(10))
    torch.testing.assert_close(LayerNorm(10).double()(X).std(-1, correction=0), torch.ones(3, 4, dtype=torch.float64), rtol=1e-4, atol=0)  # fmt: skip
