"""Damage on the disk between two calls is noticed and named, and the run ends where it would have ended without it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from training.small_runs import SMALL, same_weights


@pytest.fixture(scope="module")
def stopped(inkstone, text) -> Path:
    """A run that was killed between the checkpoint of step 12 and its end, and beside it the unbroken one."""
    settings = [word for setting in SMALL for word in ("--set", setting)]
    whole = inkstone("train", str(text), "--out", str(inkstone.folder / "whole"), *settings)
    assert whole["code"] == 0, whole["output"]
    out = inkstone.folder / "stopped"
    for moment in range(whole["steps"] // 2, whole["steps"]):  # where it falls is found out, not counted
        shutil.rmtree(out, ignore_errors=True)
        inkstone("train", str(text), "--out", str(out), *settings, die_at=moment)
        if len(list((out / "checkpoints").glob("step-*"))) == 2:
            return out
    pytest.fail("no moment was found at which two checkpoints are there")


@pytest.fixture
def copy(stopped, inkstone, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*"))


def flip(path: Path, place: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 4
    path.write_bytes(bytes(data))


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def resumed(inkstone, folder: Path) -> str:
    answer = inkstone("train", "--resume", str(folder))
    assert answer["code"] == 0, answer["output"]
    assert same_weights(folder, inkstone.folder / "whole")
    return answer["output"]


@pytest.mark.parametrize("harm", [flip, tear, Path.unlink])
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(inkstone, copy, name, harm):
    before, newest = checkpoints(copy)
    harm(newest / name)
    output = resumed(inkstone, copy)
    assert f"{newest.name}/" in output and "going back to the checkpoint before it" in output
    assert f"going on from step {int(before.name[5:])}" in output


def test_when_all_checkpoints_are_damaged_it_says_so_and_begins_at_the_first_step(inkstone, copy):
    for folder in checkpoints(copy):
        flip(folder / "model.safetensors")
    output = resumed(inkstone, copy)
    for folder in checkpoints(copy):
        assert f"{folder.name}/model.safetensors: damaged" in output
    assert "no checkpoint before it is left" in output and "training begins at the first step" in output


@pytest.mark.parametrize("harm", [flip, tear, Path.unlink])
@pytest.mark.parametrize("part", ["train", "held-out"])
def test_damaged_shards_are_named_and_made_again(inkstone, copy, part, harm):
    harm(copy / "shards" / part / "tokens-00000.bin")
    output = resumed(inkstone, copy)
    assert re.search(rf"shards/{part}/tokens-00000.bin .*; preparing the text again", output)
    assert "going on from step" in output


@pytest.mark.parametrize("name", ["tokenizer.json", "shards/train/index.json", "shards/train/document-starts.npy"])
def test_other_damage_to_prepared_text_is_noticed(inkstone, copy, name):
    flip(copy / name, 0.9)
    assert "preparing the text again" in resumed(inkstone, copy)


def test_when_the_text_is_not_what_it_was_the_run_does_not_go_on_with_other_tokens(inkstone, copy, tmp_path):
    other = tmp_path / "other.txt"
    source = re.search(r'"(.*/text\.txt)"', (copy / "recipe.toml").read_text())
    assert source
    other.write_text(Path(source[1]).read_text()[500:])
    recipe = (copy / "recipe.toml").read_text().replace(source[1], str(other))
    (copy / "recipe.toml").write_text(recipe)
    tear(copy / "shards" / "train" / "tokens-00000.bin")
    answer = inkstone("train", "--resume", str(copy))
    assert answer["code"] == 2
    assert answer["output"].splitlines()[-1].startswith(f"inkstone: {copy}: {other} is not the text any more")


def test_text_from_standard_input_cannot_be_read_again(inkstone, copy):
    recipe = (copy / "recipe.toml").read_text()
    (copy / "recipe.toml").write_text(re.sub(r'"/.*/text\.txt"', '"-"', recipe))
    tear(copy / "shards" / "train" / "tokens-00000.bin")
    answer = inkstone("train", "--resume", str(copy))
    assert answer["code"] == 2 and "standard input" in answer["output"].splitlines()[-1]


def test_facts_that_are_damaged_are_named(inkstone, copy):
    tear(copy / "facts.json")
    answer = inkstone("train", "--resume", str(copy))
    assert answer["code"] == 2 and "facts.json: damaged" in answer["output"].splitlines()[-1]


def test_a_torn_journal_is_mended(inkstone, copy):
    with open(copy / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind": "train", "st')
    resumed(inkstone, copy)
    assert all(json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines())


def test_a_report_that_is_missing_is_written_again(inkstone, tmp_path):
    done = Path(shutil.copytree(inkstone.folder / "whole", tmp_path / "done"))
    (done / "report.html").unlink()
    answer = inkstone("train", "--resume", str(done))
    assert answer["code"] == 0 and (done / "report.html").exists() and str(done) in answer["output"]
