"""Processes that can be killed, and disks that fill up."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from training.small_runs import prose

TESTS = Path(__file__).parents[1]


class Runner:
    """Speaks to `fork_server.py`."""

    def __init__(self, folder: Path):
        self.folder = folder
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "faults" / "fork_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )

    def __call__(self, *arguments: str, **order: Any) -> dict[str, Any]:
        """Run `inkstone ARGUMENTS` as a child; see `fork_server.py` for what may be ordered. The answer, with "output"."""
        assert self.process.stdin and self.process.stdout
        output = self.folder / "output.txt"
        output.write_text("")
        order = {"arguments": list(arguments), "output": str(output), "folder": str(self.folder), "signal": 9, **order}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return {**answer, "output": output.read_text(encoding="utf-8", errors="replace")}


@pytest.fixture(scope="module")
def inkstone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """The command line in child processes that start at once."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    runner = Runner(tmp_path_factory.mktemp("runs"))
    yield runner
    assert runner.process.stdin
    runner.process.stdin.close()
    runner.process.wait()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 40 kB that nobody has written."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(prose(40_000), encoding="utf-8")
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A disk of 3 MB at `tmp_path / "disk"`; calling the value fills what is left of it, and again frees it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk of its own cannot be mounted here")
    filler = disk / "filler"

    def fill() -> None:
        if filler.exists():
            filler.unlink()
            return
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
