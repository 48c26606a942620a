"""Whether guesses go on, by times that are made up."""

import pytest

from inkstone.inference.draft_pace import LONGEST_REST, SHORTEST_REST, TRIAL, Pace


def rounds(pace: Pace, many: int, *, plain: float, guessed: float, tokens: float, accepted: int) -> list[int]:
    """What each round was asked to guess."""
    asked = []
    for _ in range(many):
        asked.append(pace.most())
        if asked[-1]:
            pace.took(guessed, tokens, accepted, width=asked[-1] + 1)
        else:
            pace.took(plain, 1, None, width=1)
    return asked


def test_guesses_that_pay_go_on():
    pace = Pace(4)
    asked = rounds(pace, 400, plain=1.0, guessed=1.5, tokens=3.0, accepted=2)
    assert sum(guess > 0 for guess in asked) > 370
    assert pace.speed_up == pytest.approx(2.0, rel=0.05)


def test_guesses_that_do_not_pay_cost_a_few_per_cent():
    pace = Pace(4)
    rounds(pace, 200, plain=1.0, guessed=2.5, tokens=1.2, accepted=0)
    assert pace.speed_up > 0.92
    asked = rounds(pace, 5000, plain=1.0, guessed=2.5, tokens=1.2, accepted=0)
    assert pace.speed_up > 0.98
    runs = "".join("g" if guess else "p" for guess in asked).split("g" * TRIAL)
    assert max(map(len, runs)) == LONGEST_REST


def test_one_slow_moment_decides_nothing():
    pace = Pace(4)
    rounds(pace, 20, plain=1.0, guessed=1.5, tokens=3.0, accepted=2)
    pace.took(500.0, 3.0, 2, width=4)
    assert all(rounds(pace, 10, plain=1.0, guessed=1.5, tokens=3.0, accepted=2))


def test_what_begins_to_pay_is_found():
    pace = Pace(4)
    rounds(pace, 50, plain=1.0, guessed=3.0, tokens=1.0, accepted=0)
    asked = rounds(pace, 4 * SHORTEST_REST, plain=1.0, guessed=1.5, tokens=4.0, accepted=3)
    assert all(asked[-20:])


def test_a_guess_is_as_long_as_what_was_accepted_and_one():
    pace = Pace(4, always=False)
    pace.plain_left = 0
    pace.took(1.0, 1, 0, width=5)
    assert pace.most() == 1
    pace.took(1.0, 2, 1, width=2)
    assert pace.most() == 2
    pace.took(1.0, 9, 8, width=2)
    assert pace.most() == 4


def test_always_is_always():
    pace = Pace(4, always=True)
    assert rounds(pace, 100, plain=1.0, guessed=9.0, tokens=1.0, accepted=0) == [4] * 100
