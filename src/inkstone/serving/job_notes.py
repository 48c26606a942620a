"""Notes of the trainings that a studio was asked for: a folder with a file for each, and beside it the log of what it said.

Whatever becomes of a server, the next one reads in the notes what waits, what runs, and what became of the rest.
"""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from inkstone.files import write_json
from inkstone.serving.studio_folder import NUMBER, StudioError

State = Literal["waiting", "running", "finished", "stopped", "failed"]
MOST_KEPT = 200  # finished jobs that are remembered


@dataclass
class Job:
    """One command and what became of it."""

    id: str
    kind: str  # "train", "adapt" or "resume"
    run: str  # the name of the run that it makes or goes on with
    arguments: list[str]  # of `inkstone`
    created: float
    state: State = "waiting"
    started: float | None = None
    ended: float | None = None
    pid: int | None = None
    born: float | None = None  # when its process began, by which it is told from a later one of the same number
    code: int | None = None
    stopping: bool = False  # it was told to stop
    message: str = ""
    about: dict[str, Any] = field(default_factory=dict)  # the name of the text, the minutes, ...

    @property
    def over(self) -> bool:
        """Neither waiting nor running."""
        return self.state not in ("waiting", "running")

    def told(self) -> dict[str, Any]:
        """What a client is told: neither the command nor its process."""
        hidden = ("arguments", "pid", "born")
        return {name: value for name, value in asdict(self).items() if name not in hidden}


class JobNotes:
    """The notes in a folder. Every method may be called from any thread."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = threading.RLock()
        self.unwritten: dict[str, Job] = {}  # as they are now, which a full disk has kept out of their notes

    def all(self) -> list[Job]:
        """All jobs, the newest first."""
        paths = self.folder.glob("*.json") if self.folder.is_dir() else ()
        found = [job for path in paths if (job := self._known(path))]
        return sorted(found, key=lambda job: -job.created)

    def find(self, number: str) -> Job:
        """The job of a number. Raises StudioError where there is none."""
        job = self._known(self.folder / f"{number}.json")
        if job is None:
            raise StudioError(f"there is no job {number[:40]!r}", 404)
        return job

    def keep(self, job: Job) -> None:
        """Note a job as it is now. Raises OSError where that cannot be written."""
        write_json(self._path(job), asdict(job))

    def remember(self, job: Job, **changes: Any) -> None:
        """Note a job with these changes, or where the disk is full keep it in mind until that can be done: else it would begin anew."""
        with self.lock:
            for name, value in changes.items():
                setattr(job, name, value)
            try:
                self.keep(job)
                self.unwritten.pop(job.id, None)
            except OSError:
                self.unwritten[job.id] = job

    def write_again(self) -> None:
        """Note what a full disk has kept out of the notes."""
        with self.lock:
            for job in list(self.unwritten.values()):
                self.remember(job)

    def log(self, job: Job) -> Path:
        """Where what it says is written."""
        return self.folder / f"{job.id}.log"

    def clear(self) -> None:
        """Forget the oldest of the jobs that are over."""
        for job in [job for job in self.all() if job.over][MOST_KEPT:]:
            self._path(job).unlink(missing_ok=True)
            self.log(job).unlink(missing_ok=True)

    def _known(self, path: Path) -> Job | None:
        job = _read(path)
        return None if job is None else self.unwritten.get(job.id, job)

    def _path(self, job: Job) -> Path:
        return self.folder / f"{job.id}.json"


def _read(path: Path) -> Job | None:
    if not NUMBER.fullmatch(path.stem):
        return None
    try:
        return Job(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
