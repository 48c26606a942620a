"""The run folder: made where nothing is harmed, opened, claimed, and a journal that survives crashes."""

import json
import multiprocessing

import pytest

from inkstone.errors import RunError
from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", Recipe())


def test_created_and_opened(tmp_path):
    recipe = with_settings(Recipe(), ["train.steps=5"])
    Run.create(tmp_path / "deep" / "run", recipe)
    assert Run.open(tmp_path / "deep" / "run").recipe() == recipe


def test_an_empty_folder_may_be_used(tmp_path):
    Run.create(tmp_path, Recipe())
    assert Run.open(tmp_path).facts() == {}


def test_what_is_there_is_never_harmed(tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    for folder, said in ((tmp_path, "not empty and not a run"), (tmp_path / "diary.txt", "is a file")):
        with pytest.raises(RunError, match=said):
            Run.create(folder, Recipe())
    assert (tmp_path / "diary.txt").read_text() == "dear diary" and len(list(tmp_path.iterdir())) == 1


def test_a_run_is_not_made_over_another(run):
    before = run.recipe_path.read_bytes()
    with pytest.raises(RunError, match=r"--resume .*--fresh.*--out"):
        Run.create(run.folder, with_settings(Recipe(), ["train.steps=5"]))
    assert run.recipe_path.read_bytes() == before


def test_what_a_killed_creation_left_is_in_nobodys_way(tmp_path):
    (tmp_path / ".recipe.toml.abc123.part").write_text("[te")
    Run.create(tmp_path, Recipe())


def test_a_folder_that_is_no_run(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match=r"not a run folder \(it has no recipe.toml\)"):
            Run.open(folder)


def test_facts_are_added_stage_by_stage(run):
    run.record(text={"bytes": 1})
    run.record(plan={"rows": 2}, cost={})
    run.record(text={"bytes": 3})
    assert run.facts() == {"text": {"bytes": 3}, "plan": {"rows": 2}, "cost": {}}


def test_damaged_facts_are_named(run):
    (run.folder / "facts.json").write_text('{"text": {')
    with pytest.raises(RunError, match=r"facts\.json: damaged"):
        run.facts()


def test_the_journal_gives_back_what_was_logged(run):
    run.log("train", step=1, loss=2.5)
    run.log("held-out", step=1, bits_per_byte=1.5)
    assert [entry["kind"] for entry in run.metrics()] == ["train", "held-out"]
    (entry,) = run.metrics("train")
    assert entry["loss"] == 2.5 and entry["time"] > 1.6e9


def test_there_may_be_no_journal(run):
    assert list(run.metrics()) == []
    run.rewind_metrics(0)
    assert not run.metrics_path.exists()


@pytest.mark.parametrize("torn", [b'{"kind": "train", "st', b"\xff\xfe\x00", b"5\n", b"\n\n", b"[1, 2]"])
def test_a_torn_line_costs_itself_only(run, torn):
    run.log("train", step=1)
    with open(run.metrics_path, "ab") as file:
        file.write(torn)
    run.log("train", step=2)
    run.log("train", step=3)
    assert [entry["step"] for entry in run.metrics("train")] == [1, 2, 3]


def test_rewinding_takes_out_later_steps(run):
    for step in range(6):
        run.log("train", step=step)
    run.log("note")
    run.rewind_metrics(3)
    assert [entry.get("step") for entry in run.metrics()] == [0, 1, 2, 3, None]
    assert all(json.loads(line) for line in run.metrics_path.read_text().splitlines())
    assert [path.name for path in run.folder.iterdir() if path.name.startswith(".")] == []


def _claim(folder, held, done):
    with Run(folder).claimed():
        held.set()
        done.wait(60)


def test_one_process_at_a_time(run):
    pytest.importorskip("fcntl")
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_claim, args=(run.folder, held, done))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(RunError, match="in use: another process trains in it"), run.claimed():
            pass
        other.kill()  # a killed process gives up its claim
        other.join()
        with run.claimed():
            pass
    finally:
        other.kill()
