import os
import signal
import subprocess
import sys
import time

import pytest

from inkstone.errors import InkstoneError, TextError
from inkstone.text.workers import Workers


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_calls(processes):
    with Workers(processes) as workers:
        assert list(workers.map(divmod, ((n, 7) for n in range(20)))) == [divmod(n, 7) for n in range(20)]
        assert list(workers.map(abs, [(-1,)])) == [1]


def test_no_more_calls_are_taken_than_needed():
    taken = []
    with Workers(2) as workers:
        results = workers.map(abs, ((taken.append(n) or n,) for n in range(100)))
        next(results)
        assert len(taken) <= 3


def test_an_error_in_a_child_is_raised_here():
    with Workers(2) as workers, pytest.raises(ZeroDivisionError):
        list(workers.map(divmod, [(1, 1), (1, 0)]))
    with Workers(2) as workers, pytest.raises(TextError, match="no such"):
        list(workers.map(_refuse, [("no such",)]))


def _refuse(words):
    raise TextError(words)


def test_a_killed_child_is_noticed():
    with Workers(2) as workers:
        assert list(workers.map(abs, [(1,), (2,)])) == [1, 2]
        for child in workers.children:
            os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(InkstoneError, match="worker process ended"):
            list(workers.map(abs, [(1,), (2,)]))


def test_children_end_with_their_parent(tmp_path):
    """A parent that is killed outright leaves no child behind."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\nfrom inkstone.text.workers import Workers\n"  # no main guard, and none is needed
        "workers = Workers(2).__enter__()\nlist(workers.map(abs, [(1,), (2,)]))\n"
        "print(*[child.pid for child in workers.children], flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not any(_alive(child) for child in children):
            return
        time.sleep(0.1)
    pytest.fail("a worker outlived its parent")


def _alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
