"""An adaptation that is killed at any moment, and gone on with, ends bit for bit where an unbroken one ends."""

import random
import shutil
import signal
from pathlib import Path

import pytest

from training.small_runs import SMALL, prose, same_weights

KILLS = 12
TUNED = [setting for setting in SMALL if not setting.startswith(("model.", "tokenizer."))]


def options(settings) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def unbroken(inkstone, text) -> dict:
    """A model of `text`, and what it became on another text: the command, and what an undisturbed run answered."""
    base, new, out = (inkstone.folder / name for name in ("base", "new.txt", "adapted"))
    new.write_text(prose(30_000, seed=4), encoding="utf-8")
    answer = inkstone("train", str(text), "--out", str(base), *options(SMALL))
    assert answer["code"] == 0, answer["output"]
    command = ["tune", "language-modelling", str(new), "--from", str(base), *options(TUNED)]
    answer = inkstone(*command, "--out", str(out))
    assert answer["code"] == 0, answer["output"]
    return {**answer, "folder": out, "command": command}


def start_or_resume(out: Path, unbroken: dict) -> list[str]:
    if (out / "recipe.toml").exists():
        return ["tune", "--resume", str(out)]
    return [*unbroken["command"], "--out", str(out)]


def assert_ended_well(out: Path, unbroken: dict, answer: dict) -> None:
    assert answer["code"] == 0, answer["output"]
    assert same_weights(out, unbroken["folder"])
    for name in ("tokenizer.json", "recipe.toml"):
        assert (out / name).read_bytes() == (unbroken["folder"] / name).read_bytes()
    for part in ("train", "held-out", "old-train", "old-held-out"):
        index = Path("shards") / part / "index.json"
        assert (out / index).read_bytes() == (unbroken["folder"] / index).read_bytes()
    assert not [path for path in out.rglob("*") if path.name.startswith(".") or path.name == "checkpoints"]


def killed_at(inkstone, unbroken: dict, moment: int) -> None:
    out = inkstone.folder / f"step-{moment}"
    answer = inkstone(*start_or_resume(out, unbroken), die_at=moment)
    assert answer["code"] == -signal.SIGKILL
    assert_ended_well(out, unbroken, inkstone(*start_or_resume(out, unbroken)))
    shutil.rmtree(out)


def test_killed_while_text_is_prepared_and_while_it_trains(inkstone, unbroken):
    total = unbroken["steps"]
    for moment in (total // 4, total * 2 // 3):
        killed_at(inkstone, unbroken, moment)


@pytest.mark.slow
def test_killed_at_many_durable_steps(inkstone, unbroken):
    for moment in sorted(random.Random(3).sample(range(1, unbroken["steps"] + 1), KILLS)):
        killed_at(inkstone, unbroken, moment)


def test_stopped_by_a_signal_it_says_how_to_go_on(inkstone, unbroken):
    out = inkstone.folder / "stopped"
    answer = inkstone(
        *unbroken["command"], "--out", str(out), signal=int(signal.SIGTERM), when=f"{out.name}/checkpoints/step-*"
    )
    assert answer["code"] == 143, answer["output"]
    assert answer["output"].splitlines()[-1] == (
        f"inkstone: stopped; the run is saved, go on with: inkstone tune --resume {out}"
    )
    assert_ended_well(out, unbroken, inkstone("tune", "--resume", str(out)))
