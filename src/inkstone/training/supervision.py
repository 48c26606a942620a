"""What holds around every call that trains: signals end it in order, and a full disk is said with the way to go on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inkstone.errors import InkstoneError, Interrupted, RunError
from inkstone.files import writing_fault
from inkstone.progress import human_bytes
from inkstone.run import Run
from inkstone.training.interruption import Interruption
from inkstone.training.placing import is_planned


@contextmanager
def supervised(run: Run, verb: str, resumed: bool) -> Iterator[Interruption]:
    """The context of one call of `inkstone VERB` on a run; yields what the loop asks whether it should stop.

    Raises RunError where the run cannot be written any more, and `Interrupted` on Ctrl-C and SIGTERM.
    """
    resume = f"go on with: inkstone {verb} --resume {run.folder}"
    lost = f"go on from the step before with: inkstone {verb} --resume {run.folder}"
    interruption = Interruption(
        f"stopped; the run is saved, {resume}", f"stopped, but the last steps could not be saved; {lost}"
    )
    try:
        with interruption, flushed_denormals():
            yield interruption
    except Interrupted:
        raise
    except Exception as error:
        if interruption.requested:  # raised inside a library, which gave an error of its own in its place
            raise interruption.stopped() from error
        if isinstance(error, InkstoneError):
            raise
        reason = writing_fault(error)
        if reason is None:
            raise
        again = resume if resumed or is_planned(run) else "start again"
        raise RunError(
            f"{run.folder}: the run could not be written ({reason}; {human_bytes(shutil.disk_usage(run.folder).free)} free "
            f"there); make room, then {again}"
        ) from error


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Numbers too near zero count as zero, for they are slow; afterwards the process is as it was."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
