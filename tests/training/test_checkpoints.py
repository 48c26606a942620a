"""Checkpoints come back as they were written, and damage to any of their files is noticed and named."""

import json

import pytest
import torch

from inkstone.errors import CheckpointError
from inkstone.training import checkpoints
from inkstone.training.checkpoints import list_checkpoints, load_checkpoint, newest_checkpoint, save_checkpoint

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


def save(folder, step):
    weights = {"w": torch.full((3, 5), float(step)).T, "v": torch.arange(4.0)}
    return save_checkpoint(folder, weights, {"muon.0.momentum": torch.ones(2)}, {"step": step, "tokens": step * 10})


def test_comes_back_as_it_was_written(tmp_path):
    read = load_checkpoint(save(tmp_path, 7))
    assert torch.equal(read.weights["w"], torch.full((5, 3), 7.0)) and torch.equal(read.weights["v"], torch.arange(4.0))
    assert torch.equal(read.optimizer["muon.0.momentum"], torch.ones(2))
    assert read.state == {"step": 7, "tokens": 70}


def test_the_last_two_are_kept(tmp_path):
    for step in (8, 9, 10, 12_000_000):
        save(tmp_path, step)
    assert [load_checkpoint(path).state["step"] for path in list_checkpoints(tmp_path)] == [12_000_000, 10]


def damage(path, how):
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "torn":
        path.write_bytes(data[: len(data) // 2])
    elif how == "longer":
        path.write_bytes(data + b"\0")
    else:
        place = data.index(b'"sha256"') if path.name == "manifest.json" else len(data) // 2
        flipped = bytearray(data)
        flipped[place + 12] ^= 1
        path.write_bytes(bytes(flipped))


@pytest.mark.parametrize("how", ["gone", "empty", "torn", "longer", "a bit flipped"])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_named_and_the_checkpoint_before_is_used(tmp_path, name, how):
    save(tmp_path, 4)
    newest = save(tmp_path, 8)
    damage(newest / name, how)
    with pytest.raises(CheckpointError, match="step-00000008"):
        load_checkpoint(newest)
    said = []
    read = newest_checkpoint(tmp_path, said.append)
    assert read is not None and read.state["step"] == 4
    assert len(said) == 1 and "going back to the checkpoint before it" in said[0]
    named = [other for other in FILES if f"step-00000008/{other}" in said[0]]
    assert named == [name] or name == "manifest.json"  # a flipped digest accuses the file that it is of


def test_every_single_bit_of_the_state_counts(tmp_path):
    path = save(tmp_path, 3) / "state.json"
    whole = path.read_bytes()
    for number in range(0, len(whole) * 8, 7):
        flipped = bytearray(whole)
        flipped[number // 8] ^= 1 << number % 8
        path.write_bytes(bytes(flipped))
        with pytest.raises(CheckpointError, match=r"state\.json"):
            load_checkpoint(path.parent)


@pytest.mark.parametrize(
    "content", ["[]", "null", '{"model.safetensors": 3}', "{}", '{"model.safetensors": {"bytes": 1}}']
)
def test_a_manifest_of_another_kind_is_refused(tmp_path, content):
    path = save(tmp_path, 3)
    (path / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        load_checkpoint(path)


def test_when_all_are_damaged_each_is_named(tmp_path):
    for step in (1, 2):
        damage(save(tmp_path, step) / "state.json", "torn")
    said = []
    assert newest_checkpoint(tmp_path, said.append) is None
    assert "step-00000002" in said[0] and "step-00000001" in said[1] and "no checkpoint before it" in said[1]


def test_damaged_ones_of_later_steps_do_not_push_out_the_whole_one(tmp_path):
    for step in (10, 20, 30):
        save(tmp_path, step)
    for path in list_checkpoints(tmp_path):
        damage(path / "state.json", "torn")
    save(tmp_path, 12)  # the run began again, and is not as far yet
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000012"]


def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch):
    save(tmp_path, 1)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_json", full)
    with pytest.raises(OSError):
        save(tmp_path, 2)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_the_manifest_lists_sizes_and_digests(tmp_path):
    path = save(tmp_path, 1)
    listed = json.loads((path / "manifest.json").read_text())
    assert {name: (path / name).stat().st_size for name in listed} == {n: e["bytes"] for n, e in listed.items()}
