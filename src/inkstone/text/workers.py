"""Functions run in other processes, with results in the order of the calls.

The processes are plain children that are spoken to through their standard input and output. Unlike those of
`multiprocessing`, they never import the caller's main module, so that scripts without a main guard work too.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from inkstone.errors import InkstoneError

Result = TypeVar("Result")
_START = "import sys; sys.path[:] = {path!r}; from inkstone.text.workers import serve; serve()"
_ONE_THREAD = {
    name: "1" for name in ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
}


class Workers:
    """Child processes that run functions of modules; with `processes` of 1 or less, everything runs right here."""

    def __init__(self, processes: int) -> None:
        self.processes = max(processes, 1)
        self.children: list[subprocess.Popen[bytes]] = []
        self.idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self.threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        if self.processes > 1:
            command = [sys.executable, "-c", _START.format(path=[path or os.getcwd() for path in sys.path])]
            for _ in range(self.processes):
                child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **_ONE_THREAD}
                )
                self.children.append(child)
                self.idle.put(child)
            self.threads = ThreadPoolExecutor(self.processes)
        return self

    def __exit__(self, *error: object) -> None:
        for child in self.children:
            child.kill()
        if self.threads:
            self.threads.shutdown(cancel_futures=True)
        for child in self.children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    with suppress(BrokenPipeError):
                        pipe.close()

    def map(self, function: Callable[..., Result], calls: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        """`function(*call)` for each call, in order; no more calls are taken than keep the processes at work."""
        if not self.threads:
            yield from (function(*call) for call in calls)
            return
        running: deque[Future[Result]] = deque()
        for call in calls:
            running.append(self.threads.submit(self._call, function, call))
            if len(running) > self.processes:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def _call(self, function: Callable[..., Result], call: tuple[Any, ...]) -> Result:
        child = self.idle.get()
        try:
            assert child.stdin and child.stdout
            pickle.dump((function, call), child.stdin, protocol=5)
            child.stdin.flush()
            worked, result = pickle.load(child.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            code = child.wait()
            raise InkstoneError(
                f"a worker process ended with code {code}, perhaps for want of memory; try again with --processes 1"
            ) from error
        finally:
            self.idle.put(child)
        if not worked:
            raise result
        return result


def serve() -> None:
    """Run the calls that come through standard input until it ends: the main loop of a child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    while True:
        try:
            function, call = pickle.load(requests)
        except EOFError:
            return
        try:
            reply = (True, function(*call))
        except Exception as error:
            reply = (False, error)
        pickle.dump(reply, replies, protocol=5)
        replies.flush()
