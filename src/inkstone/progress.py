"""The live line of long work: redrawn in place on a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import TextIO


class LiveLine:
    """One line on standard error that tells how far the work is.

    On a terminal it is redrawn at most ten times a second. Elsewhere (a file, a pipe, CI) a full line is
    printed at most every `plain_every` seconds. With `quiet`, nothing is printed.
    """

    def __init__(self, quiet: bool = False, plain_every: float = 15.0, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.terminal = self.stream.isatty()
        self.every = 0.1 if self.terminal else plain_every
        self.last = float("-inf")
        self.drawn = False

    def show(self, text: str, force: bool = False) -> None:
        """Show `text` as the state of the work, unless the last line is too recent."""
        now = time.monotonic()
        if self.quiet or (now - self.last < self.every and not force):
            return
        self.last = now
        self.drawn = self.terminal
        self.stream.write(f"\r\x1b[2K{text}" if self.terminal else f"{text}\n")
        self.stream.flush()

    def say(self, text: str) -> None:
        """Print a line that stays, above the live one."""
        if self.quiet:
            return
        self.clear()
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Take the live line off a terminal."""
        if self.drawn:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self.drawn = False


def human_count(number: float, unit: str = "") -> str:
    """A number as people say it, with three digits.

    >>> human_count(1234567, "tokens")
    '1.23 M tokens'
    >>> human_count(999)
    '999'
    """
    number = float(f"{number:.3g}")  # rounded first: 999.9 k is 1 M
    for limit, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:.3g}{letter}{' ' if unit else ''}{unit}"
    return f"{number:.3g}{' ' if unit else ''}{unit}"


def human_bytes(number: float) -> str:
    """A size in decimal units.

    >>> human_bytes(1_115_394)
    '1.12 MB'
    """
    number = float(f"{number:.3g}")
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:.0f} B"


def human_time(seconds: float) -> str:
    """A duration as people say it.

    >>> human_time(75), human_time(8.25), human_time(3725)
    ('1m15s', '8.2s', '1h02m')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    seconds = max(seconds, 60)
    if seconds < 3600:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"
    return f"{int(seconds) // 3600}h{int(seconds) % 3600 // 60:02d}m"
