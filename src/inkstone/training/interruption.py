"""Ctrl-C and SIGTERM: the work in hand is brought to a state that can be gone on from, then the command ends."""

import signal
import threading
from types import FrameType

from inkstone.errors import Interrupted


class Interruption:
    """A context in which both signals end the work in order.

    While `immediate`, a signal raises `Interrupted` at once: nothing is lost, since finished stages are on the disk.
    Otherwise it sets `requested`, which the training loop looks at after every step; a second signal raises.
    Libraries may lose what is raised inside them, or give another error in its place: `requested` is set in every case.
    """

    def __init__(self, message: str, message_of_loss: str = ""):
        """`message` says how to go on; `message_of_loss` is said instead where the state could not be saved."""
        self.message, self.message_of_loss = message, message_of_loss or message
        self.immediate = True
        self.requested = False
        self.exit_code = 130
        self._old: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def resume_immediate(self) -> None:
        """From here on a signal ends the work at once; so does one that came while it could not."""
        self.immediate = True
        if self.requested:
            raise self.stopped()

    def stopped(self) -> Interrupted:
        """The error that says how to go on; while a signal only sets `requested`, that the last steps are not saved."""
        return Interrupted(self.message if self.immediate else self.message_of_loss, self.exit_code)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = 128 + number
        again, self.requested = self.requested, True
        if self.immediate or again:  # a second time: the state was being saved
            raise self.stopped()
