"""Ctrl-C and SIGTERM: at once where nothing is lost, after the step in hand otherwise."""

import contextlib
import os
import signal
import threading

import pytest

from inkstone.errors import Interrupted
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.training.interruption import Interruption
from inkstone.training.supervision import supervised

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_at_once_while_immediate(number, code):
    with Interruption("go on") as interruption, pytest.raises(Interrupted, match=r"^go on$") as caught:
        assert interruption.immediate
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_first_is_remembered_and_the_second_raises(number, code):
    with Interruption("go on", "the last steps are lost") as interruption:
        interruption.immediate = False
        os.kill(os.getpid(), number)
        assert interruption.requested and interruption.exit_code == code
        with pytest.raises(Interrupted, match="the last steps are lost"):  # the state was being saved
            os.kill(os.getpid(), number)


def test_one_that_came_meanwhile_is_heeded_when_it_may_be():
    with Interruption("go on") as interruption:
        interruption.immediate = False
        interruption.resume_immediate()
        interruption.immediate = False
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted) as caught:
            interruption.resume_immediate()
    assert caught.value.exit_code == 143


def test_one_that_a_library_turns_into_another_error_is_still_one(tmp_path):
    run = Run.create(tmp_path / "run", Recipe())
    with pytest.raises(Interrupted, match=rf"go on with: inkstone train --resume {run.folder}") as caught:
        with supervised(run, "train", resumed=False):
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except Interrupted:
                raise TypeError("no such data type") from None
    assert caught.value.exit_code == 130


def test_an_error_after_one_that_was_only_noted_does_not_say_that_all_is_saved(tmp_path):
    with pytest.raises(Interrupted, match="the last steps could not be saved"):
        with supervised(Run.create(tmp_path / "run", Recipe()), "train", resumed=False) as interruption:
            interruption.immediate = False
            os.kill(os.getpid(), signal.SIGINT)
            raise TypeError("no such data type")


def test_one_that_a_library_loses_is_heeded_at_the_next_step():
    with Interruption("go on") as interruption:
        with contextlib.suppress(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
        interruption.immediate = False
        assert interruption.requested


def test_the_handlers_before_come_back():
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    with Interruption("go on"):
        assert [signal.getsignal(number) for number, _ in SIGNALS] != before
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


def test_in_another_thread_signals_are_left_alone():
    before, found = signal.getsignal(signal.SIGINT), []

    def work():
        with Interruption("go on"):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
