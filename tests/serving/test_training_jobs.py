"""The queue of trainings: one after another, stopped in order, found again by the next server."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from inkstone.cli import parser_for
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.serving import job_notes, training_jobs
from inkstone.serving.job_notes import Job
from inkstone.serving.studio_folder import StudioError, StudioFolder
from inkstone.serving.training_jobs import TrainingJobs

# What `inkstone train` does as far as a queue can see it: a run folder, some seconds, an exit code.
PLAYED = """
import json, pathlib, signal, sys, time
words = sys.argv[1:]
folder = pathlib.Path(words[words.index("--out") + 1] if "--out" in words else words[words.index("--resume") + 1])
def stop(*_):
    print("inkstone: stopped; the run is saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
folder.mkdir(exist_ok=True)
(folder / "recipe.toml").touch()
print(*words, flush=True)
if "train.seed=1" in words:
    print("inkstone: that cannot be learned", flush=True)
    sys.exit(2)
if "train.seed=2" in words:
    time.sleep(600)
(folder / "facts.json").write_text(json.dumps({"outcome": {}}))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    played = tmp_path / "played.py"
    played.write_text(PLAYED)
    monkeypatch.setattr(training_jobs, "PROGRAM", (sys.executable, str(played)))
    return StudioFolder(tmp_path / "runs")


@pytest.fixture
def jobs(folder):
    queue = TrainingJobs(folder, stop_seconds=20)
    yield queue
    queue.close()


def until(said, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def state(queue, job):
    return queue.find(job.id).state


def long(queue, name="long"):
    return queue.train(queue.folder.root / "text.txt", "text.txt", 1, ["train.seed=2"], name)


def test_a_training_runs_and_what_it_says_is_kept(jobs, folder):
    job = jobs.train(folder.root / "text.txt", "text.txt", 2.5, ["model.width=32"], "my text!")
    assert job.run == "my-text" and job.state == "waiting"
    until(lambda: state(jobs, job) == "finished")
    told = jobs.find(job.id)
    assert told.code == 0 and told.ended >= told.started >= told.created
    assert jobs.log(job.id).split() == [
        "train", str(folder.root / "text.txt"), "--out", str(folder.root / "my-text"), "--minutes", "2.5", "--set", "model.width=32",
    ]  # fmt: skip
    assert "arguments" not in told.told() and "pid" not in told.told()


def test_one_runs_at_a_time_and_one_that_waits_can_be_taken_back(jobs, folder):
    first, second, third = long(jobs), long(jobs), jobs.train(folder.root / "t", "t", 1, [], "other")
    assert {first.run, second.run} == {"long", "long-2"}
    until(lambda: state(jobs, first) == "running")
    assert state(jobs, second) == state(jobs, third) == "waiting"
    assert jobs.stop(second.id).state == "stopped"
    until(lambda: (folder.root / "long" / "recipe.toml").exists())
    jobs.stop(first.id)
    until(lambda: state(jobs, third) == "finished")
    stopped = jobs.find(first.id)
    assert (stopped.state, stopped.code, stopped.message) == ("stopped", 143, "stopped; the run is saved")


def test_runs_that_wait_have_names_of_their_own_however_long_and_however_many_ask_at_once(jobs, folder):
    first = long(jobs)
    with ThreadPoolExecutor(8) as together:
        asked = [together.submit(jobs.train, folder.root / "t", "t", 1, [], "砚" * 70) for _ in range(8)]
        found = sorted(each.result(30).run for each in asked)
    assert found == sorted(["砚" * 60, *(f"{'砚' * 60}-{number}" for number in range(2, 9))])
    until(lambda: state(jobs, first) == "running")
    for job in jobs.all():
        jobs.stop(job.id)


def test_one_that_is_stopped_before_it_could_save_anything_was_stopped(jobs, folder):
    job = long(jobs)
    until(lambda: state(jobs, job) == "running")
    jobs.stop(job.id)
    until(lambda: state(jobs, job) == "stopped")


def test_why_a_training_failed_is_said(jobs, folder):
    job = jobs.train(folder.root / "t", "t", 1, ["train.seed=1"])
    until(lambda: state(jobs, job) == "failed")
    assert jobs.find(job.id).message == "that cannot be learned"


def test_a_stopped_run_is_gone_on_with_and_a_finished_one_is_not(jobs, folder):
    job = long(jobs)
    until(lambda: (folder.root / "long" / "recipe.toml").exists())
    with pytest.raises(StudioError, match="is trained or waits already"):
        jobs.resume(folder.root / "long")
    jobs.stop(job.id)
    until(lambda: state(jobs, job) == "stopped")
    again = jobs.resume(folder.root / "long")
    until(lambda: state(jobs, again) == "finished")
    assert jobs.log(again.id).split()[:2] == ["train", "--resume"]
    with pytest.raises(StudioError, match="is finished"):
        jobs.resume(folder.root / "long")


def test_a_run_learns_from_the_marks_of_the_folder(jobs, folder):
    Run.create(folder.root / "chat", Recipe())
    job = jobs.adapt(folder.root / "chat", 3, regenerate=True)
    until(lambda: state(jobs, job) == "finished")
    assert job.run == "chat-adapted" and job.about == {"base": "chat", "minutes": 3}
    assert jobs.log(job.id).split() == [
        "adapt", str(folder.root / "chat"), "--from", str(folder.root / "feedback.sqlite"), "--out", str(folder.root / "chat-adapted"),
        "--minutes", "3", "--regenerate",
    ]  # fmt: skip
    assert parser_for("adapt").parse_args(job.arguments).marks == str(folder.feedback.path)


def test_a_server_that_ends_stops_what_trains(folder):
    queue = TrainingJobs(folder, stop_seconds=20)
    job, waiting = long(queue), long(queue)
    until(lambda: (folder.root / "long" / "recipe.toml").exists())
    queue.close()
    assert (state(queue, job), state(queue, waiting)) == ("stopped", "waiting")
    with pytest.raises(StudioError, match="about to stop"):
        long(queue)


def test_the_next_server_finds_a_process_that_still_trains(folder):
    process = subprocess.Popen([*training_jobs.PROGRAM, "train", "--out", str(folder.root), "--set", "train.seed=2"])
    import psutil

    folder.jobs.mkdir(parents=True)
    born = psutil.Process(process.pid).create_time()
    noted = Job("0" * 16, "train", "long", [], 1.0, "running", 1.0, pid=process.pid, born=born)
    (folder.jobs / f"{noted.id}.json").write_text(json.dumps(vars(noted)))
    (folder.root / "long").mkdir()
    reaper = threading.Thread(target=process.wait)
    reaper.start()
    queue = TrainingJobs(folder, stop_seconds=20)
    try:
        waiting = queue.train(folder.root / "t", "t", 1, [])
        time.sleep(1)
        assert state(queue, noted) == "running" and state(queue, waiting) == "waiting"
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: state(queue, waiting) == "finished")
        assert state(queue, noted) == "stopped"
    finally:
        process.kill()
        reaper.join()
        queue.close()


def test_what_ran_when_the_machine_went_down_can_be_gone_on_with(folder):
    folder.jobs.mkdir(parents=True)
    for number, name in enumerate(("half", "whole", "nothing")):
        job = Job(f"{number:016x}", "train", name, [], float(number), "running", pid=1 << 30, born=1.0)
        (folder.jobs / f"{job.id}.json").write_text(json.dumps(vars(job)))
    Run.create(folder.root / "half", Recipe())
    Run.create(folder.root / "whole", Recipe()).record(outcome={"bits_per_byte": 1.0})
    queue = TrainingJobs(folder)
    until(lambda: all(job.state != "running" for job in queue.all()))
    queue.close()
    assert [job.state for job in reversed(queue.all())] == ["stopped", "finished", "failed"]


def test_two_servers_of_one_folder_run_one_job_at_a_time(folder):
    one, other = TrainingJobs(folder, stop_seconds=20), TrainingJobs(folder, stop_seconds=20)
    first, second = long(one), long(other)
    until(lambda: "running" in (state(one, first), state(one, second)))
    time.sleep(1)
    assert sorted([state(other, first), state(other, second)]) == ["running", "waiting"]
    other.stop(first.id)
    until(lambda: state(one, second) == "running")
    one.close()
    other.close()
    assert state(one, second) == "stopped"


def test_a_job_that_cannot_be_noted_is_not_begun_again(folder, monkeypatch):
    full, write = threading.Event(), job_notes.write_json

    def write_or_not(path, value):
        if full.is_set() and value["state"] != "waiting":
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(job_notes, "write_json", write_or_not)
    full.set()
    queue = TrainingJobs(folder, stop_seconds=20)
    try:
        job = queue.train(folder.root / "text.txt", "text.txt", 1, [], "full")
        until(lambda: state(queue, job) == "finished")
        time.sleep(1.5)  # long enough to begin again
        assert len(queue.log(job.id).splitlines()) == 1 and state(queue, job) == "finished"
        full.clear()
        until(lambda: json.loads((folder.jobs / f"{job.id}.json").read_text())["state"] == "finished")
    finally:
        queue.close()


def test_nothing_is_written_before_something_is_asked(folder):
    queue = TrainingJobs(folder)
    assert queue.all() == []
    with pytest.raises(StudioError, match="there is no job"):
        queue.find("../../etc/passwd")
    queue.close()
    assert not folder.root.exists()


def test_a_damaged_note_is_passed_over(folder):
    folder.jobs.mkdir(parents=True)
    (folder.jobs / f"{'a' * 16}.json").write_text("{")
    (folder.jobs / f"{'b' * 16}.json").write_text('{"id": 1}')
    queue = TrainingJobs(folder)
    assert queue.all() == []
    queue.close()
