"""A model goes on with other text: what it gains and forgets is measured, old documents are told, and the run is one like any other."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from inkstone.cli import main
from inkstone.errors import RecipeError, RunError, TextError
from inkstone.evaluation.evaluate import eval as evaluate_run, window_of
from inkstone.evaluation.likelihood import score
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.recipe import load_recipe
from inkstone.run import Run
from inkstone.studies.compare_runs import compare_runs
from inkstone.studies.repeat import tune
from inkstone.tokens.shards import TokenShards
from inkstone.training import loop as loop_module
from inkstone.training.pretraining import train

from .small_runs import SMALL, known_machine, prose, same_weights, small_train

TUNED = [setting for setting in SMALL if not setting.startswith(("model.", "tokenizer."))]
TUNED += ["task.extend_tokenizer=0"]
NEW_WORDS = str.maketrans("aeiou", "oiuae")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """old.txt and new.txt, which has other words; a text in another script; and base, a model of old.txt."""
    folder = tmp_path_factory.mktemp("adapting")
    (folder / "old.txt").write_text(prose(40_000), encoding="utf-8")
    (folder / "new.txt").write_text(prose(40_000, seed=5).translate(NEW_WORDS), encoding="utf-8")
    letters = {ord(letter): chr(0x7802 + 7 * place) for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    letters |= {ord("."): "。", ord(" "): "，"}
    (folder / "script.txt").write_text(prose(30_000, seed=6).lower().translate(letters), encoding="utf-8")
    small_train(folder / "old.txt", folder / "base", "train.steps=60")
    return folder


def adapted(text: Path, base: Path, out: Path, *settings: str, **how):
    with known_machine():
        return tune(
            "language-modelling", [str(text)], model=base, out=out, settings=[*TUNED, *settings], quiet=True, **how
        )


@pytest.fixture(scope="module")
def run(folder) -> dict:
    return adapted(folder / "new.txt", folder / "base", folder / "adapted", "train.steps=60")


def bits(model_folder: Path, shards: Path) -> float:
    model, written = load(model_folder), TokenShards.open(shards)
    return score(model, written.documents(), window=window_of(model)).bits_per_byte


def test_what_was_gained_and_forgotten_is_what_both_models_say(folder, run):
    adapted_run = Run.open(folder / "adapted")
    old, new = adapted_run.old_held_out_shards, adapted_run.held_out_shards
    assert run["old_before"] == pytest.approx(bits(folder / "base", old), abs=1e-6)
    assert run["old_after"] == pytest.approx(bits(folder / "adapted", old), abs=1e-6)
    assert run["new_before"] == pytest.approx(bits(folder / "base", new), abs=1e-6)
    assert run["bits_per_byte"] == pytest.approx(bits(folder / "adapted", new), abs=1e-6)
    assert run["forgetting"] == pytest.approx(run["old_after"] / run["old_before"] - 1)
    assert run["bits_per_byte"] < 0.95 * run["new_before"]
    facts = adapted_run.facts()["adaptation"]
    assert facts["forgetting"] == run["forgetting"] and facts["replay"] == run["replay"] == 0.5
    assert facts["model"] == run["adapted_from"] == str(folder / "base")


def test_replay_keeps_what_would_be_forgotten(folder, run, tmp_path):
    without = adapted(folder / "new.txt", folder / "base", tmp_path / "without", "train.steps=60", "task.replay=0.0")
    assert without["forgetting"] > run["forgetting"] + 0.02
    assert without["bits_per_byte"] < run["bits_per_byte"]
    assert (
        Run(tmp_path / "without").facts()["training"]["epochs"] > Run(folder / "adapted").facts()["training"]["epochs"]
    )


def test_the_run_is_one_like_any_other_and_says_so(folder, run, capsys):
    assert {path.name for path in (folder / "adapted").iterdir()} >= {"README.md", "report.html", "model.safetensors"}
    card = (folder / "adapted" / "README.md").read_text(encoding="utf-8")
    assert "adapted by Inkstone from" in card and f"{run['old_after']:.3f}" in card and "遗忘" in card
    report = (folder / "adapted" / "report.html").read_text(encoding="utf-8")
    assert "What adapting" in report and f"{run['old_before']:.3f}" in report
    recipe = load_recipe(folder / "adapted" / "recipe.toml")
    assert (recipe.task.replay, recipe.model.width, recipe.model.family) == (0.5, 32, "decoder")
    assert evaluate_run(folder / "adapted", compressors=False)["bits_per_byte"] == pytest.approx(run["bits_per_byte"])
    both = compare_runs([folder / "base", folder / "adapted"], [str(folder / "new.txt")], device="cpu")
    assert both["rows"][0]["values"][0] > both["rows"][0]["values"][1]
    assert main(["generate", str(folder / "adapted"), "Lu", "--max-tokens", "5", "--device", "cpu"]) == 0
    assert len(capsys.readouterr().out) > 2


@pytest.mark.slow
def test_it_is_exported_and_adapted_again_with_all_that_was_read_as_old_text(folder, run, tmp_path):
    export(folder / "adapted", "hf", tmp_path / "hf")
    (tmp_path / "third.txt").write_text(prose(30_000, seed=9), encoding="utf-8")
    again = adapted(tmp_path / "third.txt", folder / "adapted", tmp_path / "again")
    before = [
        TokenShards.open(path)
        for path in (Run(folder / "adapted").train_shards, Run(folder / "adapted").old_train_shards)
    ]
    old = TokenShards.open(Run(tmp_path / "again").old_train_shards)
    assert [ids.tolist() for ids in old.documents()] == [
        ids.tolist() for shards in before for ids in shards.documents()
    ]
    assert again["adapted_from"] == str(folder / "adapted") and abs(again["forgetting"]) < 1


@pytest.mark.slow
@pytest.mark.parametrize("family", ["recurrent", "convolutional", "encoder_decoder", "neural_ngram"])
def test_other_families_that_learn_by_gradient(folder, tmp_path, family):
    small = [setting for setting in ("model.n_layers=1",) if family != "neural_ngram"]
    base = [s for s in SMALL if s != "model.n_layers=1"]
    with known_machine():
        train([str(folder / "old.txt")], family=family, out=tmp_path / "base", settings=[*base, *small], quiet=True)
    outcome = adapted(folder / "new.txt", tmp_path / "base", tmp_path / "run")
    assert outcome["bits_per_byte"] < outcome["new_before"] and np.isfinite(outcome["forgetting"])
    assert load(tmp_path / "run").family == family


@pytest.mark.slow
def test_counts_are_made_anew_of_both_texts(folder, tmp_path):
    with known_machine():
        small = ["tokenizer.vocab_size=300", "model.order=3"]
        train([str(folder / "old.txt")], family="ngram", out=tmp_path / "base", settings=small, quiet=True)
        outcome = tune(
            "language-modelling", [str(folder / "new.txt")], model=tmp_path / "base", out=tmp_path / "run", quiet=True
        )
    assert outcome["bits_per_byte"] < outcome["new_before"] and abs(outcome["forgetting"]) < 0.2
    assert load(tmp_path / "run").settings.order == 3
    with pytest.raises(RecipeError, match="counted anew"), known_machine():
        tune(
            "language-modelling", [str(folder / "new.txt")], model=tmp_path / "base", out=tmp_path / "no", quiet=True,
            settings=["task.replay=0.5"],
        )  # fmt: skip


@pytest.mark.parametrize("family", ["decoder", pytest.param("recurrent", marks=pytest.mark.slow)])
def test_a_broken_run_goes_on_and_ends_in_the_same_weights(folder, tmp_path, family, monkeypatch):
    base = folder / "base"
    if family == "recurrent":
        base = tmp_path / "base"
        with known_machine():
            train([str(folder / "old.txt")], family=family, out=base, settings=SMALL, quiet=True)
    whole = adapted(folder / "new.txt", base, tmp_path / "whole")
    step = loop_module.Loop.step

    def breaks(self, factor):
        if self.position.step == 14:
            raise MemoryError
        return step(self, factor)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module.Loop, "step", breaks)
        with pytest.raises(MemoryError):
            adapted(folder / "new.txt", base, tmp_path / "broken")
    assert Run(tmp_path / "broken").resuming() == f"inkstone tune --resume {tmp_path / 'broken'}"
    with known_machine():
        outcome = tune(resume=tmp_path / "broken", quiet=True)
    assert same_weights(tmp_path / "whole", tmp_path / "broken")
    assert outcome["forgetting"] == whole["forgetting"]
    with pytest.raises(RunError, match="tune --resume"):
        train(resume=tmp_path / "broken", quiet=True)


def test_a_model_that_changed_meanwhile_is_noticed(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "base", tmp_path / "base")
    with monkeypatch.context() as patch:
        patch.setattr(loop_module.Loop, "step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            adapted(folder / "new.txt", tmp_path / "base", tmp_path / "run")
    weights = tmp_path / "base" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RunError, match="is not the model any more"), known_machine():
        tune(resume=tmp_path / "run", quiet=True)


def test_documents_that_were_read_before_are_no_new_text(folder, tmp_path, capsys):
    """A folder in which a file more lies than when the model was made."""
    rows = [prose(1500, seed=seed) for seed in range(100, 160)]
    (tmp_path / "all").mkdir()
    for number, row in enumerate(rows):
        (tmp_path / "all" / f"{number}.txt").write_text(row, encoding="utf-8")
    small_train(tmp_path / "all", tmp_path / "base")
    with pytest.raises(TextError, match=r"60 documents \(.*\) were read by .* before"):
        adapted(tmp_path / "all", tmp_path / "base", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "all" / "new.txt").write_text(prose(20_000, seed=5).translate(NEW_WORDS), encoding="utf-8")
    adapted(tmp_path / "all", tmp_path / "base", tmp_path / "run")
    facts = Run(tmp_path / "run").facts()
    assert facts["adaptation"]["read_before"]["documents"] == 60
    assert facts["text"]["train_bytes"] + facts["text"]["held_out_bytes"] < 21_000


def test_a_long_document_that_was_cut_is_known_and_what_was_added_to_it_is_new(folder, tmp_path):
    with pytest.raises(TextError, match="were read by"):
        adapted(folder / "old.txt", folder / "base", tmp_path / "none")
    more = (folder / "old.txt").read_text(encoding="utf-8") + "\n\n" + prose(20_000, seed=5).translate(NEW_WORDS)
    (tmp_path / "grown.txt").write_text(more, encoding="utf-8")
    adapted(tmp_path / "grown.txt", folder / "base", tmp_path / "run")
    facts = Run(tmp_path / "run").facts()
    assert facts["adaptation"]["read_before"]["documents"] == 1
    assert 19_000 < facts["text"]["train_bytes"] + facts["text"]["held_out_bytes"] < 21_000


def test_another_script_gets_tokens_and_other_programs_open_the_model(folder, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    outcome = adapted(
        folder / "script.txt", folder / "base", tmp_path / "run", "train.steps=40", "task.extend_tokenizer=auto"
    )
    base, model = load(folder / "base"), load(tmp_path / "run")
    facts = Run(tmp_path / "run").facts()["adaptation"]
    added = facts["new_tokens"]
    assert added > 20 and "parts of a character" in facts["why_new_tokens"]
    assert model.settings.vocab_size == base.settings.vocab_size + added
    text = (folder / "script.txt").read_text(encoding="utf-8")[:2000]
    assert len(model.tokenizer.encode(text)) < 0.5 * len(base.tokenizer.encode(text))
    assert outcome["bits_per_byte"] < outcome["new_before"] and np.isfinite(outcome["forgetting"])
    theirs, tokens = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "run"),
        AutoTokenizer.from_pretrained(tmp_path / "run"),
    )
    ids = tokens(text, add_special_tokens=False, return_tensors="pt").input_ids
    assert ids[0].tolist() == model.tokenizer.encode(text)
    with torch.inference_mode():
        assert torch.allclose(theirs(ids[:, :30]).logits, model(ids[:, :30]), atol=1e-3)
    kept = adapted(folder / "script.txt", folder / "base", tmp_path / "kept")
    assert load(tmp_path / "kept").settings.vocab_size == base.settings.vocab_size and kept["steps"] == 20


def test_a_checkpoint_has_no_old_text_unless_it_is_named(folder, tmp_path, capsys):
    (tmp_path / "checkpoint").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "base" / name, tmp_path / "checkpoint" / name)
    alone = adapted(folder / "new.txt", tmp_path / "checkpoint", tmp_path / "alone")
    assert "forgetting" not in alone and alone["replay"] == 0.0 and alone["bits_per_byte"] < alone["new_before"]
    with pytest.raises(RecipeError, match=r"holds no text .* task\.replay_text=FILE"):
        adapted(folder / "new.txt", tmp_path / "checkpoint", tmp_path / "no", "task.replay=0.3")
    named = adapted(
        folder / "new.txt", tmp_path / "checkpoint", tmp_path / "named", f"task.replay_text={folder / 'old.txt'}"
    )
    assert named["replay"] == 0.5 and np.isfinite(named["forgetting"])
    assert load_recipe(tmp_path / "named" / "recipe.toml").train.optimizer == "adamw"


def test_the_command_shows_old_and_new(folder, tmp_path, capsys):
    words = [word for setting in TUNED for word in ("--set", setting)]
    with known_machine():
        code = main(
            ["tune", "language-modelling", str(folder / "new.txt"), "--from", str(folder / "base"), "--out", str(tmp_path / "run"), *words]
        )  # fmt: skip
    out = capsys.readouterr().out
    assert code == 0 and "new text" in out and "old text" in out and "50% of them of old text" in out


@pytest.mark.parametrize(
    ("how", "settings", "message"),
    [
        ({}, ["task.rows=8"], "task.rows: language-modelling has no such setting"),
        ({}, ["model.width=64"], "model.width: the model that is adapted keeps its shape"),
        ({}, ["tokenizer.vocab_size=600"], "are for a model from the start"),
        ({}, ["task.extend_tokenizer=-1"], "must be at least 0"),
        ({"test": ["x.txt"]}, [], "takes no --family and no --test"),
        ({"seeds": 2}, [], "not for language-modelling"),
    ],
)
def test_what_it_cannot_do_is_refused_before_any_work(folder, tmp_path, how, settings, message):
    with pytest.raises(RecipeError, match=message):
        adapted(folder / "new.txt", folder / "base", tmp_path / "run", *settings, **how)
    assert not (tmp_path / "run").exists()


def test_a_model_and_a_text_must_be_named(folder):
    with pytest.raises(RecipeError, match="a model to go on from is missing"):
        tune("language-modelling", [str(folder / "new.txt")], quiet=True)
    with pytest.raises(RecipeError, match="new text is missing"):
        tune("language-modelling", model=folder / "base", quiet=True)


def test_the_recipe_among_the_examples_is_one_for_this(folder, tmp_path):
    recipe = Path(__file__).parents[2] / "examples" / "language-modelling.toml"
    with known_machine():
        outcome = tune(
            "language-modelling", [str(folder / "new.txt")], model=folder / "base", out=tmp_path / "run", recipe=recipe, quiet=True,
            settings=TUNED,
        )  # fmt: skip
    assert outcome["replay"] == load_recipe(recipe).task.replay and outcome["bits_per_byte"] < outcome["new_before"]
