"""Rounded decoders beside the models that they are made from."""

import pytest
import torch

from inference.decoders import decoder
from inkstone.inference.slotted import slotted
from inkstone.models.quantised_decoder import quantised

SHAPES = {
    "qwen3": {},
    "biases": {"layout": "llama", "attention_bias": True, "hidden_bias": True},
    "gpt2": {"layout": "gpt2"},
}


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_in_bfloat16_is_rounded_as_the_same_numbers_in_single_precision(bits, shape):
    short = decoder(**SHAPES[shape]).to(torch.bfloat16)
    rounded, expected = quantised(short, bits), quantised(decoder(**SHAPES[shape]).to(torch.bfloat16).float(), bits)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        torch.testing.assert_close(rounded(ids), expected(ids))
    rows, others = (slotted(model, 2, 20) for model in (rounded, expected))
    torch.testing.assert_close(rows.read(1, [5, 6, 7], 0), others.read(1, [5, 6, 7], 0))
    step = torch.tensor([8]), torch.tensor([1]), torch.tensor([3])
    torch.testing.assert_close(rows.step(*step), others.step(*step))


def test_what_is_rounded_leaves_the_model_as_it_was():
    model = decoder()
    rounded = quantised(model, 8)
    assert all(weight.requires_grad for weight in model.parameters())
    assert not any(weight.requires_grad for weight in rounded.parameters())
    assert rounded.norm.weight.data_ptr() == model.norm.weight.data_ptr()  # type: ignore[union-attr]
