"""Quantised decoders on kernels for short integers, against the same weights made dense."""

import pytest
import torch

from inkstone.inference.packed_decoder import PackedDecoder, PackedLinear, can_be_packed
from inkstone.layers.quantised_matrix import QuantisedMatrix
from inkstone.models.quantised_decoder import dense, quantised

from .decoders import decoder

SHAPES = {
    "qwen3": {"width": 64},
    "untied": {"tied": False},
    "biases": {"layout": "llama", "attention_bias": True, "hidden_bias": True},
    "gpt2": {"layout": "gpt2"},
}


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("rows", [1, 2, 9, 40])
def test_products_are_those_of_the_dense_weights(bits, rows):
    generator = torch.Generator().manual_seed(rows)
    matrix = QuantisedMatrix.of(torch.randn(48, 64, generator=generator) * torch.logspace(-2, 1, 48)[:, None], bits)
    bias = torch.randn(48, generator=generator)
    # Rows of very different size, each of which has a scale of its own.
    x = torch.randn(rows, 64, generator=generator) * torch.logspace(-2, 2, rows)[:, None]
    expected = x @ matrix.dense().T
    found = PackedLinear(matrix, None)(x)
    # Against the size of the two vectors: rounding to 8 bits, in bfloat16 or integers, is off by less than a hundredth.
    size = x.norm(dim=1)[:, None] * matrix.dense().norm(dim=1)
    assert ((found - expected).abs() / size).max() < 0.01
    torch.testing.assert_close(PackedLinear(matrix, bias)(x), found + bias)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [1, 3])
def test_it_gives_the_log_probabilities_of_the_dense_weights(bits, shape, rows):
    model = quantised(decoder(**SHAPES[shape]), bits)
    assert can_be_packed(model)
    packed, plain = PackedDecoder.of(model), dense(model)
    ids = torch.randint(0, 300, (rows, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, _ = plain.step(ids, plain.start(rows))
        _, state = packed.step(ids[:, :15], packed.start(rows))
        for place in range(15, 20):
            found, state = packed.step(ids[:, place : place + 1], state, last=True)
            off = (found[:, 0] - expected[:, place]).abs()
            assert off.mean() < 0.05 and off.max() < 0.3
            torch.testing.assert_close(found.logsumexp(-1), torch.zeros(rows, 1), atol=1e-4, rtol=0)


def test_a_plain_decoder_is_not_for_it():
    assert not can_be_packed(decoder())
