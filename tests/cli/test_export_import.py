"""`inkstone export` and `inkstone import`, as they are typed."""

import json

import pytest
import torch

from inkstone.cli import main
from inkstone.hub.folder import load, save
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer


@pytest.fixture
def run(tmp_path):
    tokenizer = learn_tokenizer(iter(["ink on stone 墨"] * 20), "byte-bpe", 290)
    settings = DecoderSettings(
        vocab_size=tokenizer.vocab_size, width=16, n_layers=1, n_heads=2, n_kv_heads=1, head_width=8, hidden=32, context=32
    )  # fmt: skip
    save(Decoder(settings, tokenizer).initialise(torch.Generator().manual_seed(0)), tmp_path / "run")
    return tmp_path / "run"


def test_export_names_the_place_and_what_opens_it(run, capsys):
    assert main(["export", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"{run}-hf" in said and "from_pretrained" in said
    pytest.importorskip("gguf")
    assert main(["export", str(run), "--to", "gguf", "--dtype", "float16"]) == 0
    assert f"llama-cli -m {run}.gguf" in capsys.readouterr().out


def test_import_makes_a_run_and_says_how_to_go_on(run, tmp_path, capsys):
    assert main(["import", str(run), "--out", str(tmp_path / "imported")]) == 0
    said = capsys.readouterr().out
    assert f"inkstone generate {tmp_path / 'imported'}" in said and "Qwen3ForCausalLM" in said
    assert load(tmp_path / "imported").settings == load(run).settings


def test_import_goes_to_runs_by_default(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["import", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == "runs/run"
    assert (tmp_path / "runs" / "run" / "recipe.toml").exists()


def test_json_is_one_object_and_nothing_else(run, tmp_path, capsys):
    assert main(["export", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == f"{run}-hf" and facts["format"] == "hf" and "config.json" in facts["files"]
    assert facts["bytes"] == sum(path.stat().st_size for path in (tmp_path / "run-hf").iterdir())


def test_mistakes_are_one_line_and_exit_code_2(run, tmp_path, capsys):
    for words in (
        ["export", str(tmp_path / "absent")],
        ["import", "no-such-thing"],
        ["import", str(run), "--out", str(run)],
    ):
        assert main(words) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and captured.err.startswith("inkstone: ")
