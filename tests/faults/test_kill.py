"""A run that is killed, at any moment and as often as it may be, ends bit for bit where an unbroken one ends."""

import random
import shutil
import signal
from pathlib import Path

import pytest

from training.small_runs import SMALL, same_weights

KILLS = 20
FINISHED = ("model.safetensors", "config.json", "tokenizer.json", "report.html", "README.md", "facts.json")


def settings() -> list[str]:
    return [word for setting in SMALL for word in ("--set", setting)]


@pytest.fixture(scope="module")
def unbroken(inkstone, text) -> dict:
    """A run that nobody disturbs: its folder, its seconds, its durable steps."""
    out = inkstone.folder / "unbroken"
    answer = inkstone("train", str(text), "--out", str(out), *settings())
    assert answer["code"] == 0, answer["output"]
    return {**answer, "folder": out}


def start_or_resume(text: Path, out: Path) -> list[str]:
    if (out / "recipe.toml").exists():
        return ["train", "--resume", str(out)]
    return ["train", str(text), "--out", str(out), *settings()]


def assert_ended_well(out: Path, unbroken: dict, answer: dict) -> None:
    assert answer["code"] == 0, answer["output"]
    assert same_weights(out, unbroken["folder"])
    assert (out / "tokenizer.json").read_bytes() == (unbroken["folder"] / "tokenizer.json").read_bytes()
    assert (out / "recipe.toml").read_bytes() == (unbroken["folder"] / "recipe.toml").read_bytes()
    assert all((out / name).is_file() for name in FINISHED)
    left = [path for path in out.rglob("*") if path.name.startswith(".") or path.name == "checkpoints"]
    assert not left  # nothing half-written stays behind


@pytest.mark.slow
def test_killed_at_twenty_random_moments(inkstone, text, unbroken):
    draw = random.Random(1)
    kills, attempts, number = 0, 0, 0
    out = inkstone.folder / "killed-0"
    while kills < KILLS and attempts < 4 * KILLS:
        attempts += 1
        answer = inkstone(*start_or_resume(text, out), kill_after=draw.uniform(0.02, 0.9) * unbroken["seconds"])
        assert answer["code"] in (0, -signal.SIGKILL), answer["output"]
        kills += answer["code"] != 0
        if answer["code"] == 0:  # it came through; the next one is killed from its beginning
            assert_ended_well(out, unbroken, answer)
            shutil.rmtree(out)
            number += 1
            out = inkstone.folder / f"killed-{number}"
    assert kills == KILLS
    assert_ended_well(out, unbroken, inkstone(*start_or_resume(text, out)))
    assert inkstone("train", "--resume", str(out))["code"] == 0  # a finished run has nothing left to do


@pytest.mark.slow
def test_killed_at_twenty_durable_steps(inkstone, text, unbroken):
    """The moments that matter most: just before a file is synced or renamed, or a folder removed."""
    draw = random.Random(2)
    total = unbroken["steps"]
    for moment in sorted(draw.sample(range(1, total + 1), KILLS)):
        out = inkstone.folder / f"step-{moment}"
        answer = inkstone(*start_or_resume(text, out), die_at=moment)
        assert answer["code"] == -signal.SIGKILL
        second = inkstone(*start_or_resume(text, out), die_at=draw.randint(1, 40))  # and again, soon after
        assert second["code"] in (0, -signal.SIGKILL), second["output"]
        assert_ended_well(out, unbroken, inkstone(*start_or_resume(text, out)))
        shutil.rmtree(out)


def test_two_unbroken_runs_are_the_same(inkstone, text, unbroken):
    out = inkstone.folder / "again"
    assert_ended_well(out, unbroken, inkstone("train", str(text), "--out", str(out), *settings()))


def test_killed_right_after_the_recipe_was_written(inkstone, text, unbroken):
    out = inkstone.folder / "recipe-only"
    for moment in range(1, 8):
        shutil.rmtree(out, ignore_errors=True)
        inkstone("train", str(text), "--out", str(out), *settings(), die_at=moment)
        if [path.name for path in out.iterdir()] == ["recipe.toml"]:
            break
    else:
        pytest.fail("no moment was found at which only the recipe is there")
    assert_ended_well(out, unbroken, inkstone("train", "--resume", str(out)))


def test_killed_before_the_recipe_was_whole_the_same_command_may_be_given_again(inkstone, text, unbroken):
    out = inkstone.folder / "nothing"
    assert inkstone("train", str(text), "--out", str(out), *settings(), die_at=1)["code"] == -signal.SIGKILL
    assert not (out / "recipe.toml").exists() and list(out.iterdir())
    assert_ended_well(out, unbroken, inkstone("train", str(text), "--out", str(out), *settings()))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_says_how_to_go_on_and_does(inkstone, text, unbroken, number, code):
    out = inkstone.folder / f"stopped-{code}"
    answer = inkstone(
        "train", str(text), "--out", str(out), *settings(), signal=int(number), when=f"{out.name}/checkpoints/step-*"
    )
    assert answer["code"] == code, answer["output"]
    assert answer["output"].splitlines()[-1] == (
        f"inkstone: stopped; the run is saved, go on with: inkstone train --resume {out}"
    )
    assert "Traceback" not in answer["output"]
    assert_ended_well(out, unbroken, inkstone("train", "--resume", str(out)))


def test_stopped_while_the_text_is_prepared(inkstone, text, unbroken):
    out = inkstone.folder / "early"
    answer = inkstone(
        "train", str(text), "--out", str(out), *settings(), signal=int(signal.SIGINT), when=f"{out.name}/.text"
    )
    assert answer["code"] == 130 and f"--resume {out}" in answer["output"], answer["output"]
    assert_ended_well(out, unbroken, inkstone("train", "--resume", str(out)))


def test_a_second_process_is_kept_out(inkstone, text, unbroken):
    from inkstone.run import Run

    with Run.open(unbroken["folder"]).claimed():
        for arguments in (
            ["--resume", str(unbroken["folder"])],
            [str(text), "--out", str(unbroken["folder"]), "--fresh"],
        ):
            answer = inkstone("train", *arguments)
            assert answer["code"] == 2 and "in use" in answer["output"], answer["output"]
    assert (unbroken["folder"] / "model.safetensors").exists()
