"""The fast step against the decoder's own."""

import pytest
import torch

from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.single_token import SingleToken

from .decoders import decoder

SHAPES = {
    "qwen3": {},
    "qwen3-wide-heads": {"head_width": 32, "norm_eps": 1e-2},
    "llama": {"layout": "llama"},
    "untied": {"tied": False},
    "biases": {"layout": "llama", "attention_bias": True, "hidden_bias": True},
    "one-key": {"n_kv_heads": 1},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [1, 5])
def test_it_gives_the_same_log_probabilities(shape, rows):
    model = decoder(**SHAPES[shape])
    fast = SingleToken(model, rows)
    ids = torch.randint(0, 300, (rows, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, _ = model.step(ids, model.start(rows))
        found, state = fast.step(ids[:, :30], fast.start(rows))
        torch.testing.assert_close(found, expected[:, :30], atol=1e-5, rtol=0)
        for place in range(30, 34):
            found, state = fast.step(ids[:, place : place + 1], state, last=True)
            torch.testing.assert_close(found[:, 0], expected[:, place], atol=1e-4, rtol=0)
        found, state = fast.step(ids[:, 34:37], state)
        torch.testing.assert_close(found, expected[:, 34:37], atol=1e-4, rtol=0)
        found, state = fast.step(ids[:, 37:], state, last=True)
        torch.testing.assert_close(found[:, 0], expected[:, 39], atol=1e-4, rtol=0)
    assert state.length == 40


def test_it_goes_on_with_fewer_rows_than_it_was_made_for():
    model = decoder()
    fast = SingleToken(model, 4)
    ids = torch.randint(0, 300, (4, 9), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, _ = model.step(ids, model.start(4), last=True)
        _, state = fast.step(ids[:, :8], fast.start(4))
        for rows in ([3, 1, 2], [2]):
            expected, ids, state = expected[rows], ids[rows], state.select(torch.tensor(rows))
        found, _ = fast.step(ids[:, 8:], state, last=True)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_few_rows_are_written_by_it_and_many_by_the_decoder():
    assert isinstance(for_generation(decoder(), 8, compiled=False), SingleToken)
    for model, rows in ((decoder("gpt2"), 8), (decoder(), 1000), (decoder().bfloat16(), 1)):
        assert for_generation(model, rows, compiled=False) is model
