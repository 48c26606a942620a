"""Every family of language model through the same verbs: train, generate, eval, resume, and the folder it leaves."""

import json

import pytest
import torch

from inkstone.errors import CheckpointError, Interrupted, RecipeError, RunError
from inkstone.evaluation.evaluate import eval as evaluate
from inkstone.hub.folder import load
from inkstone.inference.generation import generate
from inkstone.models import FAMILIES, family
from inkstone.run import Run
from inkstone.training import loop as loop_module, pretraining
from inkstone.training.pretraining import train
from training.small_runs import MACHINE, SMALL, prose

COUNTED = [name for name in FAMILIES if hasattr(family(name), "fit")]
LEARNED = [name for name in FAMILIES if name not in COUNTED]


@pytest.fixture(autouse=True)
def the_machine(monkeypatch):
    monkeypatch.setattr(pretraining, "measure_machine", lambda *_: MACHINE)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "prose.txt"
    path.write_text(prose(30_000), encoding="utf-8")
    return path


def settings_of(name: str, *more: str) -> list[str]:
    known = vars(family(name).Settings)["__dataclass_fields__"]
    small = [s for s in SMALL if not s.startswith("model.") or s[6:].partition("=")[0] in known]
    return [*small, *more]


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request, text, tmp_path_factory):
    name = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "measure_machine", lambda *_: MACHINE)
        folder = tmp_path_factory.mktemp("runs") / name
        outcome = train([str(text)], family=name, out=folder, settings=settings_of(name), quiet=True)
    return name, folder, outcome


def test_what_is_trained_is_better_than_chance_and_is_whole(trained):
    name, folder, outcome = trained
    assert 0 < outcome["bits_per_byte"] < 8 and outcome["sample"]
    facts = Run(folder).facts()
    assert facts["plan"]["settings"] and facts["training"]["parameters"] > 0
    assert (folder / "report.html").exists() and (folder / "README.md").exists()
    assert Run(folder).recipe().model.family == name


def test_what_is_loaded_is_what_was_trained(trained):
    name, folder, outcome = trained
    figures = evaluate(folder, compressors=False)
    assert figures["bits_per_byte"] == pytest.approx(outcome["bits_per_byte"], rel=1e-4)
    exact = not hasattr(family(name), "likelihood")
    assert ("likelihood" in figures) is not exact


def test_it_writes_the_same_under_a_seed(trained):
    _, folder, _ = trained
    one, other = (generate(folder, "An ", max_tokens=12, seed=3, samples=2) for _ in range(2))
    assert [text.ids for text in one] == [text.ids for text in other]
    assert all(len(text.ids) for text in one)


def test_damaged_weights_are_named(trained, tmp_path):
    name, folder, _ = trained
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (copy / file).write_bytes((folder / file).read_bytes())
    weights = (folder / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="safetensors"):
        load(copy)
    if name != "decoder":
        config = json.loads((copy / "config.json").read_text())
        config["settings"]["elephants"] = 3
        (copy / "config.json").write_text(json.dumps(config))
        with pytest.raises(RunError, match="elephants"):
            load(copy)


@pytest.mark.parametrize("name", LEARNED)
def test_a_run_that_was_stopped_ends_where_the_unbroken_one_ends(name, text, tmp_path, monkeypatch):
    """Bit for bit, with what the family draws and carries along included."""
    chosen = settings_of(name, "train.steps=12", "train.checkpoint_steps=5")
    train([str(text)], family=name, out=tmp_path / "whole", settings=chosen, quiet=True)
    step = loop_module.Loop.step

    def stopping(self, factor):
        if self.position.step == 8:
            raise KeyboardInterrupt
        return step(self, factor)

    monkeypatch.setattr(loop_module.Loop, "step", stopping)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        train([str(text)], family=name, out=tmp_path / "broken", settings=chosen, quiet=True)
    monkeypatch.setattr(loop_module.Loop, "step", step)
    train(resume=tmp_path / "broken", quiet=True)
    one, other = (load(tmp_path / run).state_dict() for run in ("whole", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_setting_of_another_family_is_refused(text, tmp_path):
    name = next(name for name in FAMILIES if "n_kv_heads" not in vars(family(name).Settings)["__dataclass_fields__"])
    with pytest.raises(RecipeError, match=f"family '{name}' has no such setting"):
        train([str(text)], family=name, out=tmp_path / "run", settings=["model.n_kv_heads=2"], quiet=True)
    assert not (tmp_path / "run").exists()
