"""The live line, and numbers as people say them."""

import io

import pytest
from hypothesis import given, strategies as st

from inkstone import progress
from inkstone.progress import LiveLine, human_bytes, human_count, human_time


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_line_is_redrawn_ten_times_a_second_at_most(clock):
    stream = Terminal()
    line = LiveLine(stream=stream)
    for step in range(11):
        clock[0] = step * 0.05
        line.show(f"step {step}")
    shown = stream.getvalue().split("\r\x1b[2K")[1:]
    assert shown[0] == "step 0" and 5 <= len(shown) <= 6 and "\n" not in stream.getvalue()


def test_elsewhere_a_full_line_comes_now_and_then(clock):
    stream = io.StringIO()
    line = LiveLine(stream=stream, plain_every=15)
    for second in range(0, 40, 5):
        clock[0] = float(second)
        line.show(f"second {second}")
    assert stream.getvalue() == "second 0\nsecond 15\nsecond 30\n"


def test_force_and_say_are_never_too_soon(clock):
    stream = io.StringIO()
    line = LiveLine(stream=stream)
    line.show("one")
    line.show("two")
    line.show("three", force=True)
    line.say("four")
    assert stream.getvalue() == "one\nthree\nfour\n"


def test_what_is_said_stands_above_the_live_line(clock):
    stream = Terminal()
    line = LiveLine(stream=stream)
    line.show("live")
    line.say("stays")
    assert stream.getvalue() == "\r\x1b[2Klive\r\x1b[2Kstays\n"
    line.clear()
    assert stream.getvalue().endswith("stays\n")  # nothing is drawn any more


def test_quiet_prints_nothing(clock):
    stream = Terminal()
    line = LiveLine(quiet=True, stream=stream)
    line.show("live", force=True)
    line.say("said")
    line.clear()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (1234567, "1.23 M"),
        (2e9, "2 G"),
        (999.6, "1 k"),
        (999_999, "1 M"),
        (3.14e12, "3.14 T"),
        (0.5, "0.5"),
    ],
)
def test_counts(number, said):
    assert human_count(number) == said
    assert human_count(number, "tokens") == f"{said} tokens"


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (999, "999 B"), (40_630, "40.6 kB"), (1e6, "1 MB"), (4e9, "4 GB"), (999.6, "1 kB"), (999_999, "1 MB")],
)
def test_bytes(number, said):
    assert human_bytes(number) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0s"),
        (8.25, "8.2s"),
        (59.94, "59.9s"),
        (59.97, "1m00s"),
        (60, "1m00s"),
        (3599.9, "59m59s"),
        (3600, "1h00m"),
    ],
)
def test_times(seconds, said):
    assert human_time(seconds) == said


@given(st.floats(0.001, 9e14))
def test_three_digits_never_become_a_power_of_ten(number):
    for said in (human_count(number), human_bytes(number)):
        assert "e" not in said
