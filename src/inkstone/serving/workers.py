"""Several processes behind one port: each has the models and takes connections from the same socket."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from inkstone.errors import InkstoneError
from inkstone.serving.serve import address_of, serve_here
from inkstone.serving.settings import ServingError, ServingSettings

GRACE = 10.0  # seconds beyond `shutdown_seconds`, after which a worker is ended by force
SHORT_LIFE = 5.0  # seconds: one that ends so soon is not begun anew at once


@dataclass
class Worker:
    """A process, and the pipe that says it lives: each end is told when the other is gone."""

    process: SpawnProcess
    pipe: Connection
    began: float


def serve_with_workers(
    runs: Sequence[str | Path], settings: ServingSettings, bound: socket.socket, count: int
) -> dict[str, Any]:
    """Serve with so many processes until told to stop; one that dies is begun anew.

    Raises ServingError where one ends before it was ready: so will the others.
    """
    stopping = threading.Event()
    before = {each: signal.signal(each, lambda *_: stopping.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    workers: list[Worker] = []
    try:
        workers += [_begun(runs, settings, bound, count) for _ in range(count)]
        names = [_ready(worker, stopping) for worker in workers]
        while not stopping.is_set():
            wait([worker.process.sentinel for worker in workers], timeout=0.2)
            for number, worker in enumerate(workers):
                if worker.process.exitcode is not None and not stopping.is_set():
                    if time.monotonic() - worker.began < SHORT_LIFE:
                        stopping.wait(SHORT_LIFE)
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
        serve_here(runs, settings, bound, ready=lambda names: _tell_ready(pipe, names))
    except InkstoneError as error:
        pipe.send(str(error))
        raise SystemExit(2) from None


def _tell_ready(pipe: Connection, names: list[str]) -> None:
    pipe.send(names)
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()


def _end_with_parent(pipe: Connection) -> None:
    """Nobody would be left to stop this process: it stops when the one that began it is gone."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
