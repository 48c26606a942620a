"""Folders of quantised decoders: the same model comes back, and what is damaged is refused by name."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.inference.decoders import decoder

from inkstone.errors import CheckpointError, RunError
from inkstone.hub.folder import load
from inkstone.hub.quantised_layout import save_quantised
from inkstone.layers.rotary import RotaryScaling
from inkstone.models.quantised_decoder import bits_of, dense, quantised

SHAPES = {
    "qwen3": {},
    "llama": {"layout": "llama", "attention_bias": True, "rotary_scaling": RotaryScaling("linear", 2.0)},
    "untied": {"tied": False},
    "gpt2": {"layout": "gpt2"},
}
IDS = torch.arange(12)[None] + 40


def log_probabilities(model):
    with torch.inference_mode():
        return model.step(IDS, model.start(1))[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [8, 4])
def test_a_folder_gives_the_same_model_back(shape, bits, tmp_path):
    model = decoder(**SHAPES[shape])
    rounded = quantised(model, bits)
    save_quantised(rounded, tmp_path)
    found = load(tmp_path)
    assert bits_of(found) == bits and found.settings == model.settings
    assert found.n_parameters() == model.n_parameters()
    torch.testing.assert_close(log_probabilities(found), log_probabilities(rounded), atol=0, rtol=0)
    torch.testing.assert_close(log_probabilities(found), log_probabilities(dense(rounded)), atol=1e-5, rtol=0)
    # Near the model as it was: a wrong scale or order of numbers would be far from it.
    off = (log_probabilities(found) - log_probabilities(model)).abs().mean()
    assert 0 < off < (0.05 if bits == 8 else 0.5)


def test_four_bits_leave_what_all_tokens_see_at_eight(tmp_path):
    rounded = quantised(decoder(), 4)
    assert rounded.embedding.matrix.bits == 8
    assert {block.qkv.matrix.bits for block in rounded.blocks} == {4}


def damaged(folder, how):
    tensors = load_file(folder / "model.safetensors")
    if how == "cut":
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        return
    if how == "missing":
        tensors.pop("blocks.1.out.matrix.scale")
    elif how == "shape":
        tensors["blocks.1.out.matrix.numbers"] = tensors["blocks.1.out.matrix.numbers"][:-1]
    elif how == "type":
        tensors["blocks.1.out.matrix.numbers"] = tensors["blocks.1.out.matrix.numbers"].float()
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("how", ["cut", "missing", "shape", "type"])
def test_damaged_tensors_are_named(how, tmp_path):
    save_quantised(quantised(decoder(), 8), tmp_path)
    damaged(tmp_path, how)
    with pytest.raises(CheckpointError, match=r"model.safetensors: damaged" if how == "cut" else "blocks.1.out.matrix"):
        load(tmp_path)


@pytest.mark.parametrize("change", [{"bits": 5}, {"settings": {"width": 3}}, {"settings": None}])
def test_a_configuration_that_cannot_be_is_refused(change, tmp_path):
    save_quantised(quantised(decoder(), 8), tmp_path)
    place = tmp_path / "config.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(RunError, match=r"config\.json"):
        load(tmp_path)
