"""Logits, parameters and ids against transformers, which wrote or opens the same folder."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from inkstone.errors import CheckpointError, RunError
from inkstone.hub.folder import load, save
from inkstone.layers.rotary import RotaryScaling
from inkstone.models.base import LanguageModel
from inkstone.models.longer_context import SCALINGS, longer_context
from inkstone.tokens.tokenizer import SPECIAL_TOKENS, Tokenizer

from .checkpoints import (
    CHECKPOINTS,
    LINEAR,
    LLAMA3,
    TEXTS,
    checkpoint,
    decoder,
    edit_config,
    greedy,
    save_checkpoint,
    some_ids,
    tokenizer,
)


def difference(ours, theirs, ids: torch.Tensor) -> float:
    with torch.no_grad():
        return (ours(ids) - theirs(ids).logits).abs().max().item()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_logits_of_a_checkpoint_equal_those_of_transformers(name, tmp_path):
    theirs = checkpoint(name)
    ours = load(save_checkpoint(theirs, tmp_path))
    assert isinstance(ours, LanguageModel)
    assert difference(ours, theirs, some_ids()) < 1e-4


@pytest.mark.parametrize("name", ["qwen3-tied", "llama", "gpt2"])
def test_shards_are_read_as_one(name, tmp_path):
    theirs = checkpoint(name)
    save_checkpoint(theirs, tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 1 and not (tmp_path / "model.safetensors").exists()
    assert difference(load(tmp_path), theirs, some_ids()) < 1e-4


@pytest.mark.parametrize("rope", [LLAMA3, LINEAR, None])
@pytest.mark.parametrize("kind", ["rope_type", "type"])
def test_both_styles_of_rotary_settings_mean_the_same(rope, kind, tmp_path):
    save_checkpoint(checkpoint("llama" if rope is None else f"llama-{rope['rope_type']}"), tmp_path)
    new = load(tmp_path)
    scaling = None
    if rope is not None:
        scaling = {kind: rope["rope_type"], **{k: v for k, v in rope.items() if not k.startswith("rope_")}}
    edit_config(tmp_path, rope_parameters=None, rope_theta=(rope or {}).get("rope_theta"), rope_scaling=scaling)
    assert "rope_parameters" not in json.loads((tmp_path / "config.json").read_text())
    assert load(tmp_path).settings == new.settings


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["qwen3-tied", "gpt2"])
def test_short_types_become_float32_on_a_cpu_unless_asked_otherwise(name, dtype, tmp_path):
    save_checkpoint(checkpoint(name).to(dtype), tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert difference(load(tmp_path), theirs, some_ids()) < 1e-4
    assert {weight.dtype for weight in load(tmp_path, dtype="stored").parameters()} == {dtype}
    assert {weight.dtype for weight in load(tmp_path, dtype="float64").parameters()} == {torch.float64}


def test_the_first_gpt2_left_out_the_name_of_the_body_and_kept_its_masks(tmp_path):
    theirs = checkpoint("gpt2")
    save_checkpoint(theirs, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor.clone() for name, tensor in tensors.items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 96, 96).tril()
    bare["h.0.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(bare, tmp_path / "model.safetensors")
    assert difference(load(tmp_path), theirs, some_ids()) < 1e-4


OURS = {
    "qwen3": {},
    "qwen3-untied": dict(layout="qwen3", tied=False, norm_eps=1e-3, rotary_theta=1e6),
    "llama": dict(attention_bias=True, hidden_bias=True, tied=False),
    "llama-llama3": dict(layout="llama", rotary_scaling=RotaryScaling("llama3", 4.0, 1.0, 4.0, 24)),
    "llama-linear": dict(layout="llama", rotary_scaling=RotaryScaling("linear", 3.0, original_context=96)),
    "llama-dynamic": dict(
        layout="llama", context=24, rotary_scaling=RotaryScaling("dynamic", 2.0, original_context=24)
    ),
    "qwen3-yarn": dict(
        layout="qwen3", rotary_scaling=RotaryScaling("yarn", 3.0, original_context=24, attention_factor=1.3)
    ),
    "llama-yarn": dict(layout="llama", rotary_scaling=RotaryScaling("yarn", 3.0, original_context=24)),
    "gpt2": {},
    "gpt2-untied": dict(layout="gpt2", tied=False, dropout=0.1),
}


@pytest.mark.parametrize("name", OURS)
def test_transformers_opens_what_is_saved(name, tmp_path):
    changes = dict(OURS[name])
    ours = decoder(changes.pop("layout", name), **changes)
    save(ours, tmp_path)
    theirs, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert difference(ours, theirs, some_ids()) < 1e-4
    again = load(tmp_path)
    assert again.settings == ours.settings and again.tokenizer.fingerprint == ours.tokenizer.fingerprint
    for (key, mine), (_, back) in zip(ours.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(mine, back), key


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_context_that_was_stretched_opens_as_such_in_transformers(scaling, tmp_path):
    stretched = longer_context(decoder("llama", context=16), 64, scaling)
    save(stretched, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert theirs.config.max_position_embeddings == 64
    assert difference(stretched, theirs, some_ids()) < 1e-4
    assert difference(decoder("llama", context=16), theirs, some_ids()) > 1e-2
    again = load(tmp_path)
    assert difference(again, theirs, some_ids()) < 1e-4 and again.settings.context == 64


@pytest.mark.parametrize("name", ["mistral", "qwen3-tied", "qwen2"])
def test_attention_in_a_window_is_read_as_far_as_the_window(name, tmp_path):
    save_checkpoint(checkpoint(name), tmp_path)
    on = (
        {}
        if name == "mistral"
        else dict(use_sliding_window=True, max_window_layers=0, layer_types=["sliding_attention"] * 2)
    )
    edit_config(tmp_path, sliding_window=24, **on)
    ours, theirs = load(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    assert ours.settings.context == 24
    assert difference(ours, theirs, some_ids()[:, :24]) < 1e-4
    assert difference(ours, theirs, some_ids()) > 1e-3  # which is why nothing longer is read at once


@pytest.mark.parametrize("name", ["qwen3", "llama", "gpt2"])
def test_greedy_text_equals_that_of_transformers_generate(name, tmp_path):
    save(decoder(name, vocab_size=tokenizer().vocab_size), tmp_path)
    ours, theirs = load(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    their_tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS[:3]:
        encoded = their_tokenizer(text, return_tensors="pt")
        ids = [*ours.tokenizer.begin, *ours.tokenizer.encode(text)]
        assert encoded.input_ids[0].tolist() == ids
        generated = theirs.generate(**encoded, do_sample=False, max_new_tokens=30)[0].tolist()
        continued = ids + greedy(ours, ids, 30)
        assert continued[: len(generated)] == generated and len(generated) > len(ids)
        assert ours.tokenizer.decode(generated) == their_tokenizer.decode(generated, skip_special_tokens=True)


@pytest.mark.parametrize("kind", ["byte-bpe", "unigram", "word", "character"])
def test_ids_equal_those_of_auto_tokenizer(kind, tmp_path):
    from inkstone.tokens.learning import learn_tokenizer

    mine = learn_tokenizer(iter(TEXTS * 20), kind, 500)
    mine.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    again = Tokenizer.load(tmp_path)
    for text in TEXTS:
        ids = theirs(text, split_special_tokens=True).input_ids
        assert ids == [*mine.begin, *mine.encode(text)] == [*again.begin, *again.encode(text)]
    for token in SPECIAL_TOKENS:
        assert theirs.convert_tokens_to_ids(token) == mine.backend.token_to_id(token)
    assert theirs.eos_token_id == theirs.bos_token_id == mine.end == again.end


def test_the_end_token_comes_from_config_where_the_tokenizer_names_none(tmp_path):
    save_checkpoint(checkpoint("llama"), tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    number = tokenizer().backend.token_to_id("<|im_end|>")
    for ends in (number, [number, 3]):
        edit_config(tmp_path, eos_token_id=ends)
        assert load(tmp_path).tokenizer.end == number


def test_saving_leaves_other_files_alone_and_overwrites_its_own(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    save(decoder("llama"), tmp_path)
    save(decoder("qwen3"), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine" and load(tmp_path).settings.layout == "qwen3"
    assert not list(tmp_path.glob(".*"))


def test_writing_over_a_mapped_file_does_not_change_the_model_in_memory(tmp_path):
    save(decoder("qwen3"), tmp_path)
    model = load(tmp_path)
    before = model(some_ids()).detach()
    save(decoder("qwen3", n_layers=1), tmp_path)
    assert torch.equal(model(some_ids()), before)


def changed_tensors(folder, change) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.layers.1.self_attn.k_proj.weight"), r"layers\.1\.self_attn\.k_proj\.weight is missing"),
        (lambda t: t.update({"model.surprise.weight": torch.ones(2)}), r"model\.surprise\.weight is in the weights"),
        (
            lambda t: t.update({"model.norm.weight": torch.ones(5)}),
            r"norm\.weight has the shape \(5,\).*asks for \(32,\)",
        ),
        (lambda t: t.update({"model.norm.weight": torch.ones(32, dtype=torch.int8)}), r"stored as I8"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change, message, tmp_path):
    save_checkpoint(checkpoint("qwen3-tied"), tmp_path)
    changed_tensors(tmp_path, change)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("llama", dict(architectures=["BertForMaskedLM"]), "BertForMaskedLM; Inkstone loads .*Qwen3ForCausalLM"),
        ("llama", dict(architectures=None, model_type="t5"), "the architecture is t5"),
        (
            "llama",
            dict(rope_parameters={"rope_type": "longrope", "factor": 2.0}),
            "'longrope'; Inkstone has default, linear, llama3, dynamic, yarn",
        ),
        (
            "llama",
            dict(rope_parameters={"full_attention": {"rope_type": "default"}}),
            "different for each kind of layer",
        ),
        ("llama", dict(rope_parameters={"partial_rotary_factor": 0.5}), "partial_rotary_factor = 0.5"),
        ("llama", dict(hidden_act="gelu"), "hidden_act = 'gelu'"),
        ("llama", dict(quantization_config={"bits": 4}), "quantised"),
        ("llama", dict(hidden_size="wide"), "hidden_size is 'wide'"),
        ("llama", dict(vocab_size=None), "vocab_size is None"),
        ("llama", dict(vocab_size=100), "tokenizer has .* tokens, but the model only 100"),
        ("mistral", dict(sliding_window=0), "sliding_window is 0"),
        ("qwen3-tied", dict(layer_types=["linear_attention"] * 2), "layer_types"),
        ("gpt2", dict(activation_function="relu"), "activation_function = 'relu'"),
        ("gpt2", dict(scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx = True"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(name, changes, message, tmp_path):
    save_checkpoint(checkpoint(name), tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(RunError, match=message):
        load(tmp_path)


def test_folders_that_are_no_model_say_what_they_are(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        load(tmp_path / "absent")
    with pytest.raises(RunError, match="is a file"):
        (tmp_path / "file").touch()
        load(tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RunError, match=r"no model\.safetensors"):
        load(empty)
    run = tmp_path / "run"
    (run / "checkpoints" / "step-1").mkdir(parents=True)
    with pytest.raises(RunError, match=r"has not ended.*--resume"):
        load(run)
    save_checkpoint(checkpoint("gpt2"), tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(RunError, match=r"pytorch_model\.bin, a pickle.*save_pretrained"):
        load(tmp_path / "pickled")


def test_damage_is_named(tmp_path):
    whole = save_checkpoint(checkpoint("llama"), tmp_path / "whole", max_shard_size="20KB")
    shard = sorted(whole.glob("model-*.safetensors"))[1].name

    def damaged(name: str):
        return shutil.copytree(whole, tmp_path / name)

    folder = damaged("absent")
    (folder / shard).unlink()
    with pytest.raises(RunError, match=f"{shard}.*missing"):
        load(folder)
    folder = damaged("torn")
    (folder / shard).write_bytes((whole / shard).read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=f"{shard}: not a whole safetensors file"):
        load(folder)
    folder = damaged("zeros")
    (folder / shard).write_bytes(bytes(1000))
    with pytest.raises(CheckpointError, match=shard):
        load(folder)
    folder = damaged("index")
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(CheckpointError, match="not an index"):
        load(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../whole/" + shard}}))
    with pytest.raises(CheckpointError, match="outside the folder"):
        load(folder)
    for content in ("{", "[1]"):
        folder = damaged(f"config{len(content)}")
        (folder / "config.json").write_text(content)
        with pytest.raises(RunError, match=r"config\.json"):
            load(folder)


@pytest.mark.parametrize(
    ("layout", "changes", "message"),
    [("gpt2", dict(n_kv_heads=2), "one key/value head"), ("qwen3", dict(hidden_bias=True), "hidden_bias")],
)
def test_what_the_published_layout_has_no_place_for_is_not_written(layout, changes, message, tmp_path):
    with pytest.raises(RunError, match=message):
        save(decoder(layout, **changes), tmp_path)
    assert not (tmp_path / "model.safetensors").exists() and not (tmp_path / "config.json").exists()


def test_a_folder_of_models_is_told_from_a_model(tmp_path):
    for name in ("ink", "mine"):
        save(decoder("qwen3"), tmp_path / name)
    with pytest.raises(RunError, match=r"no model\.safetensors; name one of the models in it: ink, mine$"):
        load(tmp_path)


def test_opening_a_model_does_not_import_the_compiler(tmp_path):
    """It takes seconds, and drawing or computing on the device "meta" would."""
    save(decoder("qwen3"), tmp_path)
    looked = f"import sys; from inkstone import load; load({str(tmp_path)!r}); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", looked], check=True, capture_output=True, text=True)
    assert "torch._dynamo" not in ended.stdout.split()
