"""Out to transformers and back: nothing may change on the way."""

import errno
import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inkstone import export, import_model
from inkstone.errors import RunError
from inkstone.hub.folder import load, save
from inkstone.run import Run

from .checkpoints import TEXTS, checkpoint, decoder, save_checkpoint, some_ids, tokenizer


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
def test_export_to_transformers_and_import_again_is_equal_bit_for_bit(layout, tmp_path):
    ours = decoder(layout)
    save(ours, tmp_path / "run")
    out = export(tmp_path / "run", to="hf")
    assert out == tmp_path / "run-hf"
    theirs = AutoModelForCausalLM.from_pretrained(out)
    theirs.save_pretrained(tmp_path / "theirs")
    AutoTokenizer.from_pretrained(out).save_pretrained(tmp_path / "theirs")
    run = import_model(tmp_path / "theirs", tmp_path / "again")
    back = load(run.folder)
    assert back.settings == ours.settings and back.tokenizer.end == ours.tokenizer.end
    for (name, mine), (_, other) in zip(ours.named_parameters(), back.named_parameters(), strict=True):
        assert torch.equal(mine, other), name
    for text in TEXTS:
        assert back.tokenizer.encode(text) == ours.tokenizer.encode(text)


def test_an_imported_run_has_a_recipe_its_origin_and_the_environment(tmp_path):
    source = save_checkpoint(checkpoint("llama-llama3").to(torch.bfloat16), tmp_path / "source", max_shard_size="20KB")
    (source / "chat_template.jinja").write_text("{{ messages }}")
    (source / "training_args.bin").write_bytes(b"pickle")
    run = import_model(source, tmp_path / "run")
    assert isinstance(run, Run)
    model = run.recipe().model
    assert (model.layout, model.width, model.n_kv_heads, model.context, model.tied) == ("llama", 32, 2, 96, False)
    origin = run.facts()["origin"]
    assert origin["source"] == str(source) and origin["architecture"] == "LlamaForCausalLM"
    assert origin["dtype"] == "bfloat16"
    assert origin["parameters"] == sum(weight.numel() for weight in checkpoint("llama-llama3").parameters())
    assert len([name for name in origin["files"] if name.endswith(".safetensors")]) > 1
    assert json.loads((run.folder / "environment.json").read_text())["packages"]["torch"]
    assert (run.folder / "chat_template.jinja").exists() and not (run.folder / "training_args.bin").exists()
    assert torch.equal(load(run.folder)(some_ids()), load(source)(some_ids()))


def test_export_takes_the_models_files_and_nothing_else(tmp_path):
    run = tmp_path / "run"
    save(decoder("qwen3"), run)
    (run / "README.md").write_text("card")
    (run / "recipe.toml").write_text("")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "state.safetensors").write_bytes(b"x")
    out = export(run, to="hf", out=tmp_path / "elsewhere" / "model")
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    for path in out.iterdir():
        assert path.read_bytes() == (run / path.name).read_bytes()


def test_export_in_another_type(tmp_path):
    save(decoder("qwen3"), tmp_path / "run")
    half = export(tmp_path / "run", out=tmp_path / "half", dtype="bfloat16")
    theirs = AutoModelForCausalLM.from_pretrained(half)
    assert theirs.dtype == torch.bfloat16
    assert torch.equal(theirs.get_input_embeddings().weight, load(tmp_path / "run").embedding.weight.to(torch.bfloat16))
    assert AutoTokenizer.from_pretrained(half)(TEXTS[0]).input_ids == [tokenizer().end, *tokenizer().encode(TEXTS[0])]


def test_export_to_gguf_stands_beside_the_run(tmp_path):
    pytest.importorskip("gguf")
    save(decoder("qwen3"), tmp_path / "run")
    assert export(tmp_path / "run", to="gguf") == tmp_path / "run.gguf"
    assert (tmp_path / "run.gguf").read_bytes()[:4] == b"GGUF"
    shorter = export(tmp_path / "run", to="gguf", out=tmp_path / "half.gguf", dtype="float16")
    assert shorter.stat().st_size < (tmp_path / "run.gguf").stat().st_size


def test_export_refuses_what_cannot_be_and_what_is_taken(tmp_path):
    save(decoder("qwen3"), tmp_path / "run")
    with pytest.raises(RunError, match="no format 'ggu'; did you mean 'gguf'"):
        export(tmp_path / "run", to="ggu")
    with pytest.raises(RunError, match="no dtype 'float15'"):
        export(tmp_path / "run", dtype="float15")
    with pytest.raises(RunError, match="not a folder"):
        export(tmp_path / "absent")
    (tmp_path / "run-hf").mkdir()
    (tmp_path / "run-hf" / "mine").write_text("kept")
    (tmp_path / "run.gguf").write_text("kept")
    for to in ("hf", "gguf"):
        with pytest.raises(RunError, match="already exists"):
            export(tmp_path / "run", to=to)
    assert (tmp_path / "run-hf" / "mine").read_text() == (tmp_path / "run.gguf").read_text() == "kept"
    (tmp_path / "unfinished" / "checkpoints" / "1").mkdir(parents=True)
    with pytest.raises(RunError, match="has not ended"):
        export(tmp_path / "unfinished")


def test_import_refuses_a_taken_place_and_what_does_not_load(tmp_path):
    source = save_checkpoint(checkpoint("gpt2"), tmp_path / "source")
    run = import_model(source, tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run"):
        import_model(source, run.folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").write_text("kept")
    with pytest.raises(RunError, match="not empty"):
        import_model(source, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine"]
    (source / "tokenizer.json").unlink()
    with pytest.raises(RunError, match=r"no tokenizer\.json.*AutoTokenizer"):
        import_model(source, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_full_disk_leaves_nothing_half_done(tmp_path, monkeypatch):
    source = save_checkpoint(checkpoint("llama"), tmp_path / "source")
    real = shutil.copyfile

    def full(from_path, to_path, **options):
        if str(from_path).endswith("config.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(from_path, to_path, **options)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RunError, match="No space left on device"):
        import_model(source, tmp_path / "run")
    with pytest.raises(RunError, match="No space left on device"):
        export(source, out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
