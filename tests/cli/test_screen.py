"""No model gives commands to a terminal; a file has what it wrote."""

import os
import pty
import sys

import pytest

from inkstone.cli.screen import shown

WRITTEN = "墨\tink\n\x1b[2Jgone\r\x07\x7f\x9b3m"


def test_a_file_has_the_text_as_it_is(capsys):
    assert shown(WRITTEN) == WRITTEN


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_terminal_gets_pictures_of_what_would_command_it(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb"):
        monkeypatch.setattr(sys, "stdout", terminal)
        assert shown(WRITTEN) == "墨\tink\n␛[2Jgone␍␇␡\ufffd3m"
