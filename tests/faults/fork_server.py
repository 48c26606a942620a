"""A process that has imported everything, and forks a child for each command: a run to be killed starts at once.

Run as a script. Each line of standard input is an order as JSON, each answered by one line:
{"arguments": [...], "output": FILE, "kill_after": SECONDS or null, "die_at": N or null, "signal": NUMBER, "when": GLOB or null}

`die_at` lets the child kill itself at its n-th durable step (a file synced, renamed, or a folder removed); `when` waits
for a file before `signal` is sent. The answer holds the exit code (negative: the signal), the seconds, and the number
of durable steps that the child had taken when it ended by itself.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import py3langid
import torch

import inkstone.training.pretraining as pretraining
from inkstone.cli import main
from training.small_runs import MACHINE

PATIENCE = 300  # seconds, after which a child is taken to hang


def child(order: dict[str, Any], steps: int) -> None:
    """Run one command and leave the process."""
    sink = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdin = os.fdopen(0)
    pretraining.measure_machine = lambda *_: MACHINE  # type: ignore[assignment]
    counted = [0]

    def dies_at(function):
        def wrapper(*arguments, **more):
            counted[0] += 1
            os.pwrite(steps, b"%-8d" % counted[0], 0)
            if counted[0] == order.get("die_at"):
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return wrapper

    os.fsync, os.replace, shutil.rmtree = dies_at(os.fsync), dies_at(os.replace), dies_at(shutil.rmtree)
    code = main(order["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def watch(process: int, order: dict[str, Any]) -> int:
    """Wait for the child, sending what was ordered."""
    begin, sent = time.monotonic(), False
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        now = time.monotonic() - begin
        due = order.get("kill_after") is not None and now > order["kill_after"]
        due = due or (order.get("when") and any(Path(order["folder"]).glob(order["when"])))
        if due and not sent:
            os.kill(process, order["signal"])
            sent = True
        if now > PATIENCE:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def warm_up() -> None:
    """Load what is otherwise loaded on first use, so that no child has to."""
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    py3langid.classify("A sentence that tells the language it is in.")


def serve() -> None:
    """Answer orders until standard input ends."""
    warm_up()
    steps = os.memfd_create("steps") if hasattr(os, "memfd_create") else os.open("steps", os.O_RDWR | os.O_CREAT)
    for line in sys.stdin:
        order = json.loads(line)
        os.pwrite(steps, b"0       ", 0)
        begin = time.monotonic()
        process = os.fork()
        if process == 0:
            child(order, steps)
        code = watch(process, order)
        answer = {"code": code, "seconds": time.monotonic() - begin, "steps": int(os.pread(steps, 8, 0))}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
