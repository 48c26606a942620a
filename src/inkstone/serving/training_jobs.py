"""Trainings that the studio was asked for: a queue of commands, of which one runs at a time, each a process of its own with a log.

A job is `inkstone train`, `inkstone adapt` or the resumption of a run, so that whatever becomes of the server the run is an ordinary one.
The queue is a folder of notes (`job_notes.py`), one a job; of all servers of a folder the one that holds its lock runs the jobs. A server that ends stops
what trains, which saves its state. One that was killed finds the process again when it starts anew, or a run that can be gone on with.
"""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import psutil

from inkstone.errors import InkstoneError
from inkstone.files import writing_fault
from inkstone.run import Run
from inkstone.serving.job_notes import Job, JobNotes, State
from inkstone.serving.learning_from_marks import NOTE, parts_of
from inkstone.serving.run_facts import last_words
from inkstone.serving.studio_folder import StudioError, StudioFolder

PROGRAM = (sys.executable, "-m", "inkstone")
MOST_WAITING = 16
LOOK = 0.2  # seconds from one look at the process to the next
POLITE = 5  # how much later than the server a training gets the processor (nice)
STOPPED = (130, 143)  # exit codes of a run that was stopped in order


class TrainingJobs:
    """The queue. Every method may be called from any thread."""

    def __init__(self, folder: StudioFolder, stop_seconds: float = 30.0):
        self.folder = folder
        self.stop_seconds = stop_seconds
        self.notes = JobNotes(folder.jobs)
        self.lock = self.notes.lock
        self.process: subprocess.Popen | None = None  # None where an earlier server began what runs
        self.holding: int | None = None  # the descriptor by which the lock is held
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._work, name="training jobs", daemon=True)
        self.thread.start()

    def train(self, path: Path, name: str, minutes: float | None, settings: Sequence[str], called: str = "") -> Job:
        """Ask for a training on a file. Raises StudioError where the queue is full or the note cannot be written."""
        options = ["--minutes", f"{minutes:g}"] if minutes else []
        for setting in settings:
            options += ["--set", setting]
        about = {"text": name, "minutes": minutes, "settings": list(settings)}
        return self._ask_for_new("train", called or name, [str(path)], options, about)

    def adapt(self, base: Path, minutes: float, settings: Sequence[str] = (), regenerate: bool = False) -> Job:
        """Ask for an adaptation of a run to the marks in the folder."""
        source = [str(base), "--from", str(self.folder.feedback.path)]
        options = ["--minutes", f"{minutes:g}", *(["--regenerate"] if regenerate else [])]
        for setting in settings:
            options += ["--set", setting]
        about = {"base": base.name, "minutes": minutes}
        return self._ask_for_new("adapt", f"{base.name}-adapted", source, options, about)

    def resume(self, run: Path) -> Job:
        """Ask that a run be gone on with. Raises StudioError for one that is finished, or that is trained or waits already."""
        with self.lock:
            if any(job.run == run.name and not job.over for job in self.all()):
                raise StudioError(f"{run.name} is trained or waits already", 409)
            try:
                finished = "outcome" in Run.open(run).facts()
            except InkstoneError as error:
                raise StudioError(str(error)) from None
            if finished:
                raise StudioError(f"{run.name} is finished; there is nothing to go on with", 409)
            verb = "adapt" if (parts_of(run) / NOTE).is_file() else Run(run).resuming().split()[1]
            return self._ask("resume", run.name, [verb, "--resume", str(run)], {})

    def all(self) -> list[Job]:
        """All jobs, the newest first."""
        return self.notes.all()

    def find(self, number: str) -> Job:
        """The job of a number. Raises StudioError where there is none."""
        return self.notes.find(number)

    def stop(self, number: str) -> Job:
        """Stop a job: one that waits is taken back, one that runs saves its state and ends; a second time it ends at once."""
        with self.lock:
            job = self.find(number)
            if job.state == "waiting":
                self._ended(job, "stopped", None, "taken back before it began")
            elif job.state == "running":
                self.notes.remember(job, stopping=True)
                # Not Ctrl-C's signal: a process whose ancestors were begun in the background is deaf to that until it trains.
                self._signal(job, signal.SIGTERM)
            return job

    def log(self, number: str) -> str:
        """The end of what a job has said."""
        return last_words(self.notes.log(self.find(number)))

    def close(self) -> None:
        """Stop what trains, once its state is saved, and begin nothing more."""
        self.ending.set()
        self.thread.join(self.stop_seconds + 10)

    def _ask_for_new(
        self, kind: str, wanted: str, source: Sequence[str], options: Sequence[str], about: dict[str, Any]
    ) -> Job:
        """Ask for a run under a name that no other has, and none that waits is to have."""
        with self.lock:
            out = self.folder.free(wanted, {job.run for job in self.all() if not job.over})
            return self._ask(kind, out.name, [kind, *source, "--out", str(out), *options], about)

    def _ask(self, kind: str, run: str, arguments: Sequence[str], about: dict[str, Any]) -> Job:
        with self.lock:
            if self.ending.is_set():
                raise StudioError("the server is about to stop", 503)
            if sum(job.state == "waiting" for job in self.all()) >= MOST_WAITING:
                raise StudioError(f"{MOST_WAITING} trainings wait already", 429)
            job = Job(secrets.token_hex(8), kind, run, list(arguments), round(time.time(), 3), about=about)
            try:
                self.notes.keep(job)
            except OSError as error:
                raise StudioError(f"the training could not be noted ({writing_fault(error)}); make room", 507) from None
        return job

    def _work(self) -> None:
        """Run one job after another, until the server ends."""
        try:
            while not self.ending.wait(LOOK):
                try:
                    job = self._next() if self._holds_lock() else None
                except OSError:  # the disk may come back
                    continue
                if job is not None:
                    self._see_to(job)
        finally:
            if self.holding is not None:
                os.close(self.holding)

    def _holds_lock(self) -> bool:
        """Whether this server is the one that runs the jobs of the folder; at its first time it sees to what another one left."""
        if self.holding is not None:
            return True
        if not self.folder.jobs.is_dir():
            return False
        descriptor = os.open(self.folder.jobs, os.O_RDONLY)
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except OSError:
            os.close(descriptor)
            return False
        self.holding = descriptor
        self.notes.clear()
        return True

    def _next(self) -> Job | None:
        """The job that is to be seen to: one that runs already, else the one that waits longest, begun."""
        with self.lock:
            self.notes.write_again()
            noted = self.all()[::-1]
            for job in noted:
                if job.state == "running":
                    return job
            job = next((job for job in noted if job.state == "waiting"), None)
            return job if job is not None and self._begin(job) else None

    def _begin(self, job: Job) -> bool:
        try:
            with open(self.notes.log(job), "ab") as log:
                # In a session of its own, so that Ctrl-C in the terminal of the server reaches it once, through the server.
                self.process = subprocess.Popen(
                    [*PROGRAM, *job.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=os.environ | {"PYTHONUNBUFFERED": "1"},
                )
            process = psutil.Process(self.process.pid)
            job.pid, job.born = process.pid, process.create_time()
            with suppress(psutil.Error):
                process.nice(POLITE)
        except (OSError, psutil.Error) as error:
            self._ended(job, "failed", None, f"could not be started: {error}")
            return False
        self.notes.remember(job, state="running", started=round(time.time(), 3))
        return True

    def _see_to(self, job: Job) -> None:
        """Wait for the end of a job."""
        until = None
        while (code := self._code(job)) is False:
            if self.ending.is_set() and until is None:
                until = time.monotonic() + self.stop_seconds
                self.stop(job.id)
            if until is not None and time.monotonic() > until:  # what it saved last is there to go on from
                self._signal(job, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            time.sleep(LOOK)
        with self.lock:
            self.process = None
            with suppress(StudioError):  # its note may be gone
                job = self.find(job.id)
            self._conclude(job, code)

    def _code(self, job: Job) -> int | Literal[False] | None:
        """The exit code of a job, None where only another process could know it; False while it runs."""
        if self.process is not None:
            code = self.process.poll()
            return False if code is None else code
        return False if _lives(job) else None

    def _conclude(self, job: Job, code: int | None) -> None:
        path = self.folder.root / job.run
        try:
            finished = "outcome" in Run(path).facts()
        except InkstoneError:
            finished = False
        broken_off = code is None or code < 0  # with the machine, or by force
        if code == 0 or (code is None and finished):
            self._ended(job, "finished", code, "")
        elif code in STOPPED or job.stopping or (broken_off and path.exists()):
            self._ended(job, "stopped", code, _reason(self.notes.log(job)))
        else:
            self._ended(job, "failed", code, _reason(self.notes.log(job)) or "it ended without a word")

    def _ended(self, job: Job, state: State, code: int | None, message: str) -> None:
        self.notes.remember(job, state=state, code=code, message=message, ended=round(time.time(), 3))

    def _signal(self, job: Job, number: int) -> None:
        if _lives(job) and job.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(job.pid, number)


def _lives(job: Job) -> bool:
    """Whether the process of a job is there, and not another one that was given its number."""
    try:
        process = psutil.Process(job.pid or -1)
        return abs(process.create_time() - (job.born or 0)) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def _reason(log: Path) -> str:
    """The last error in a log, without the name of the program."""
    said = [line for line in last_words(log).splitlines() if line.startswith("inkstone: ")]
    return said[-1].removeprefix("inkstone: ")[:1000] if said else ""
