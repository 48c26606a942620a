"""Several processes behind one port: each has the models and takes connections from the same socket.

By the pipe between a worker and the process that began it, each knows that the other lives, and the counts of all workers are
brought together: one that is asked for them asks above, where all are asked.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from inkstone.errors import InkstoneError
from inkstone.serving.house import House
from inkstone.serving.metrics_together import as_text, left_behind, summed
from inkstone.serving.serve import address_of, serve_here
from inkstone.serving.settings import ServingError, ServingSettings

TELLS = 2.0  # seconds in which a worker says what it has counted
GRACE = 10.0  # seconds beyond `shutdown_seconds`, after which a worker is ended by force
SHORT_LIFE = 5.0  # seconds: one that ends so soon is not begun anew at once
ASKS = "what have all counted?"


@dataclass(frozen=True)
class Counted:
    """What a worker has counted, told in such a round."""

    number: int
    families: list[Any]


@dataclass
class Worker:
    """A process, the pipe to it, and what it last said it had counted."""

    process: SpawnProcess
    pipe: Connection
    began: float
    counts: list[Any] = field(default_factory=list)


def serve_with_workers(
    runs: Sequence[str | Path], settings: ServingSettings, bound: socket.socket, count: int
) -> dict[str, Any]:
    """Serve with so many processes until told to stop; one that dies is begun anew.

    Raises ServingError where one ends before it was ready: so will the others.
    """
    stopping = threading.Event()
    before = {each: signal.signal(each, lambda *_: stopping.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    workers: list[Worker] = []
    gone: list[Any] = []  # what workers that ended had counted
    rounds = 0
    try:
        workers += [_begun(runs, settings, bound, count) for _ in range(count)]
        names = [_ready(worker, stopping) for worker in workers]
        while not stopping.is_set():
            alive = [worker for worker in workers if worker.process.exitcode is None]
            wait([each for worker in alive for each in (worker.process.sentinel, worker.pipe)], timeout=0.2)
            if asking := [worker for worker in workers if _asks(worker)]:
                rounds += 1
                _tell_counts(workers, asking, gone, rounds)
            for number, worker in enumerate(workers):
                rested = time.monotonic() - worker.began >= SHORT_LIFE  # the others are heard meanwhile
                if worker.process.exitcode is not None and rested and not stopping.is_set():
                    gone = summed([gone, left_behind(worker.counts)])
                    workers[number] = _begun(runs, settings, bound, count)
        return {"address": address_of(settings), "models": names[0], "workers": count}
    finally:
        _end(workers, settings.shutdown_seconds + GRACE)
        for each, handler in before.items():
            signal.signal(each, handler)


def _begun(runs: Sequence[str | Path], settings: ServingSettings, bound: socket.socket, count: int) -> Worker:
    # Spawned, not forked: a copy of a process that has threads can stand still for ever.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=([str(run) for run in runs], settings, bound, theirs, count))
    process.start()
    theirs.close()
    return Worker(process, ours, time.monotonic())


def _ready(worker: Worker, stopping: threading.Event) -> list[str]:
    """The names of its models, once it serves them."""
    while not stopping.is_set():
        if worker.pipe.poll(0.2):
            try:
                told = worker.pipe.recv()
            except EOFError:
                raise ServingError("a worker ended before it was ready; its log says why") from None
            if isinstance(told, str):
                raise ServingError(told)
            return told
    return []


def _asks(worker: Worker) -> bool:
    """Whether it asks for the counts of all; what else it said before is taken note of."""
    with contextlib.suppress(EOFError, OSError):  # it is gone
        while worker.pipe.poll():
            if _heard(worker) == ASKS:
                return True
    return False


def _heard(worker: Worker) -> Any:
    told = worker.pipe.recv()
    if isinstance(told, Counted):
        worker.counts = told.families
    return told


def _tell_counts(workers: Sequence[Worker], asking: Sequence[Worker], gone: list[Any], number: int) -> None:
    """Ask all workers what they have counted, and tell the sum to those that ask for it; one that is silent counts as before."""
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.pipe.send(number)
    deadline, asking = time.monotonic() + TELLS, list(asking)
    for worker in workers:
        with contextlib.suppress(EOFError, OSError):
            while worker.pipe.poll(max(0.0, deadline - time.monotonic())):
                told = _heard(worker)
                if told == ASKS:
                    asking.append(worker)
                elif isinstance(told, Counted) and told.number == number:
                    break
    text = as_text(summed([gone, *(worker.counts for worker in workers)]))
    for worker in asking:
        with contextlib.suppress(OSError):
            worker.pipe.send(text)


def _end(workers: Sequence[Worker], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _work(runs: list[str], settings: ServingSettings, bound: socket.socket, pipe: Connection, count: int) -> None:
    """What a worker does."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    try:
        serve_here(runs, settings, bound, ready=lambda house: _Above(pipe, house).begin())
    except InkstoneError as error:
        pipe.send(str(error))
        raise SystemExit(2) from None


class _Above:
    """The process that began this one, as it is seen from here."""

    def __init__(self, pipe: Connection, house: House):
        self.pipe, self.house = pipe, house
        self.lock = threading.Lock()  # of the pipe, and of those who wait
        self.waiting: list[Future[bytes]] = []

    def begin(self) -> None:
        """Say that this one is ready, and listen."""
        self.pipe.send(list(self.house.models))
        self.house.metrics.others = self.counts
        threading.Thread(target=self._listen, daemon=True).start()

    def counts(self) -> Future[bytes]:
        """What all processes have counted."""
        found: Future[bytes] = Future()
        with self.lock:
            self.waiting.append(found)
            self.pipe.send(ASKS)
        return found

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                told = self.pipe.recv()
                if isinstance(told, int):
                    families = self.house.metrics.families()
                    with self.lock:
                        self.pipe.send(Counted(told, families))
                    continue
                with self.lock:
                    heard, self.waiting = self.waiting, []
                for found in heard:
                    if found.set_running_or_notify_cancel():
                        found.set_result(told)
        # Nobody would be left to stop this process: it stops when the one that began it is gone.
        os.kill(os.getpid(), signal.SIGTERM)
