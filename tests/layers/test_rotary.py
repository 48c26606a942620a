"""Rotary positions against the implementation in transformers, and against what they promise."""

import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from inkstone.layers.rotary import KeepsFrequencies, RotaryScaling, frequencies, raised, rotate, rotation

CASES = {
    "default": (None, dict(rope_type="default")),
    "linear": (RotaryScaling("linear", 4.0), dict(rope_type="linear", factor=4.0)),
    "llama3": (
        RotaryScaling("llama3", 8.0, 1.0, 4.0, 64),
        dict(
            rope_type="llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
        ),
    ),
    "yarn": (
        RotaryScaling("yarn", 8.0, original_context=64),
        dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=64),
    ),
    "yarn, all given": (
        RotaryScaling("yarn", 4.0, original_context=128, fast=8.0, slow=2.0, attention_factor=1.2, whole_pairs=False),
        dict(
            rope_type="yarn",
            factor=4.0,
            original_max_position_embeddings=128,
            beta_fast=8.0,
            beta_slow=2.0,
            attention_factor=1.2,
            truncate=False,
        ),
    ),
}


@pytest.mark.parametrize("theta", [100.0, 10_000.0, 500_000.0])
@pytest.mark.parametrize("name", CASES)
def test_frequencies_and_turns_equal_those_of_transformers(name, theta):
    scaling, parameters = CASES[name]
    config = LlamaConfig(head_dim=32, rope_parameters={"rope_theta": theta, **parameters}, max_position_embeddings=512)
    theirs = LlamaRotaryEmbedding(config)
    omega = frequencies(32, theta, scaling)
    torch.testing.assert_close(omega, theirs.inv_freq, rtol=1e-6, atol=0)
    x = torch.randn(2, 3, 50, 32, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(7, 57)[None]
    expected, _ = apply_rotary_pos_emb(x, x, *theirs(x, positions))
    gain = 1.0 if scaling is None else scaling.gain
    assert gain == pytest.approx(theirs.attention_scaling, abs=1e-9)
    turned = rotate(x, *(part * gain for part in rotation(omega, 7, 50)))
    torch.testing.assert_close(turned, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [1, 64, 65, 200, 512])
def test_dynamic_frequencies_equal_those_of_transformers_at_each_length(length):
    parameters = {"rope_theta": 1000.0, "rope_type": "dynamic", "factor": 2.0}
    config = LlamaConfig(head_dim=32, rope_parameters=parameters, max_position_embeddings=64)
    theirs, gain = ROPE_INIT_FUNCTIONS["dynamic"](config, None, seq_len=length)
    scaling = RotaryScaling("dynamic", 2.0, original_context=64)
    torch.testing.assert_close(frequencies(32, 1000.0, scaling, length), theirs, rtol=1e-6, atol=0)
    assert scaling.gain == gain == 1


def test_a_raised_theta_is_the_dynamic_one_at_its_full_length():
    config = LlamaConfig(
        head_dim=32,
        rope_parameters={"rope_theta": 1000.0, "rope_type": "dynamic", "factor": 1.0},
        max_position_embeddings=64,
    )
    theirs, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, None, seq_len=256)
    torch.testing.assert_close(frequencies(32, raised(1000.0, 32, 4.0)), theirs, rtol=1e-6, atol=0)


def test_scores_know_only_the_distance():
    omega = frequencies(8, 100.0)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0))

    def score(at: int, to: int) -> float:
        return float((rotate(q, *rotation(omega, at, 1)) * rotate(k, *rotation(omega, to, 1))).sum())

    assert score(5, 2) == pytest.approx(score(105, 102), abs=1e-4)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-2)


def test_turning_keeps_lengths():
    x = torch.randn(1, 2, 9, 6, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, *rotation(frequencies(6, 10.0), 3, 9))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(rotate(x, *rotation(frequencies(6, 10.0), 0, 9))[:, :, 0], x[:, :, 0])


def test_frequencies_stay_exact_where_weights_are_rounded():
    class Turning(KeepsFrequencies):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(1 / 3))
            self.register_buffer("omega", frequencies(32, 10_000.0), persistent=False)

    outer = torch.nn.Sequential(Turning()).to(torch.bfloat16)
    model = outer[0]
    assert model.scale.dtype == torch.bfloat16 and torch.equal(model.omega, frequencies(32, 10_000.0))
    outer.float()
    assert model.scale.dtype == torch.float32 and torch.equal(model.omega, frequencies(32, 10_000.0))
    assert outer.double()[0].omega.dtype == torch.float64
