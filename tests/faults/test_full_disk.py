"""A disk that fills up: said, nothing whole is lost, and the run goes on or can be gone on with."""

import errno
import os
from pathlib import Path

import pytest

from inkstone.errors import RunError
from inkstone.files import whole_file
from inkstone.training import checkpoints, loop, pretraining
from training.small_runs import SMALL, known_machine, prose, same_weights, small_train


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, text) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    small_train(text, out)
    return out


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_during_a_checkpoint_it_is_said_and_training_goes_on(text, tmp_path, unbroken, monkeypatch, capsys):
    calls = []
    save = checkpoints.save_file

    def save_file(tensors, path, *more):
        calls.append(path)
        return full() if len(calls) in (3, 4) else save(tensors, path, *more)

    monkeypatch.setattr(checkpoints, "save_file", save_file)
    with known_machine():
        pretraining.train([str(text)], out=tmp_path / "run", settings=SMALL)
    assert same_weights(tmp_path / "run", unbroken)
    said = [line for line in capsys.readouterr().err.splitlines() if "could not be written" in line]
    assert len(said) == 2 and "step 8" in said[0] and "No space left on device" in said[0] and "goes on" in said[0]


@pytest.mark.parametrize("place", ["model.safetensors", "config.json", "facts.json", "report.html"])
def test_at_the_end_it_stops_with_one_line_and_can_be_gone_on_with(text, tmp_path, unbroken, monkeypatch, place):
    out = tmp_path / "run"

    def fails_at_the_end(path):
        trained = (out / "checkpoints" / "step-00000020").exists() or (out / "config.json").exists()
        if trained and Path(path).name == place and Path(path).parent == out:
            full()
        return whole_file(path)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("inkstone.files", "inkstone.hub.folder"):
            patch.setattr(f"{module}.whole_file", fails_at_the_end)
        with pytest.raises(RunError, match=r"No space left on device.*make room.*--resume") as caught:
            small_train(text, out)
    assert "\n" not in str(caught.value)
    with known_machine():
        outcome = pretraining.train(resume=out, quiet=True)
    assert same_weights(out, unbroken) and outcome["steps"] == 20
    assert (out / "report.html").exists() and not (out / "checkpoints").exists()


def test_while_the_text_is_prepared_nothing_stays_behind(text, tmp_path, monkeypatch):
    monkeypatch.setattr("inkstone.tokens.shards.ShardWriter.close", full)
    with pytest.raises(RunError, match=r"No space left on device.*start again"):
        small_train(text, tmp_path / "deep" / "run")
    assert not list(tmp_path.iterdir())


def test_a_journal_that_cannot_be_written_ends_no_run(text, tmp_path, unbroken, monkeypatch):
    monkeypatch.setattr("inkstone.run.Run.log", full)
    small_train(text, tmp_path / "run")
    assert same_weights(tmp_path / "run", unbroken)


def test_a_real_disk_that_is_full_for_two_checkpoints(text, tmp_path, unbroken, small_disk, monkeypatch, capsys):
    """Filled before the second checkpoint and freed before the last ones."""
    save, calls = loop.save_checkpoint, []

    def save_checkpoint(*arguments):
        calls.append(1)
        if len(calls) in (2, 4):
            small_disk()
        return save(*arguments)

    monkeypatch.setattr(loop, "save_checkpoint", save_checkpoint)
    with known_machine():
        pretraining.train([str(text)], out=tmp_path / "disk" / "run", settings=SMALL)
    assert same_weights(tmp_path / "disk" / "run", unbroken)
    said = [line for line in capsys.readouterr().err.splitlines() if "could not be written" in line]
    assert len(said) == 2 and all("No space left on device" in line for line in said)


def test_a_real_disk_that_is_full_at_the_end(text, tmp_path, unbroken, small_disk, monkeypatch):
    out = tmp_path / "disk" / "run"
    with pytest.MonkeyPatch.context() as patch:
        save = pretraining.save

        def save_when_full(*arguments):
            small_disk()
            return save(*arguments)

        patch.setattr(pretraining, "save", save_when_full)
        with pytest.raises(RunError, match=r"No space left on device.*--resume"):
            small_train(text, out)
    assert len(list((out / "checkpoints").glob("step-*"))) == 2 and not (out / "config.json").exists()
    small_disk()  # room again
    with known_machine():
        pretraining.train(resume=out, quiet=True)
    assert same_weights(out, unbroken)


def test_a_real_disk_that_is_too_small_for_the_text(tmp_path, small_disk):
    text = tmp_path / "text.txt"
    text.write_text(prose(40_000))
    small_disk()
    with pytest.raises(RunError, match="No space left on device"):
        small_train(text, tmp_path / "disk" / "run")
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["filler"]
