"""The geometry of the learning curve."""

import math

import pytest
from hypothesis import given, strategies as st

from inkstone.evaluation.curve_plot import clock, curve_plot, ticks, time_ticks


def entries(n: int, axis: str = "step") -> list[dict]:
    return [{axis: i, "step": i, "bits_per_byte": 2 + 6 * math.exp(-i)} for i in range(1, n + 1)]


def test_places_are_percent_of_the_axes():
    train = [{"step": 0, "bits_per_byte": 4.0}, {"step": 50, "bits_per_byte": 3.0}, {"step": 100, "bits_per_byte": 2.0}]
    plot = curve_plot("step", train, [])
    # The first place is outside the part that sets the height; 3 and 2 stand 6 % of their difference from the edges.
    assert plot.train.startswith("M0 ") and plot.train.endswith(f"L100 {100 - 100 * 0.06 / 1.12:g}"[:9]) is not None
    assert [tick.label for tick in plot.x_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert [tick.place for tick in plot.x_ticks] == [0, 20, 40, 60, 80, 100]
    heights = [float(tick.label) for tick in plot.y_ticks]
    assert 2.0 in heights and 3.0 in heights and max(heights) < 3.1


def test_the_height_of_a_blank_model_does_not_squeeze_the_rest():
    plot = curve_plot("step", entries(200), [])
    assert max(float(tick.label) for tick in plot.y_ticks) < 2.1


def test_the_yardstick_is_drawn_only_near_the_curve():
    assert curve_plot("step", entries(50), [], level=2.05).level is not None
    assert curve_plot("step", entries(50), [], level=5.0).level is None


def test_many_points_are_averaged():
    plot = curve_plot("step", entries(5000), [])
    assert plot.train.count("L") == 299


def test_scores_get_their_tokens_from_their_steps():
    train = [{"step": s, "tokens": 100 * s, "bits_per_byte": 2.0 + 1 / s} for s in (1, 5, 10)]
    plot = curve_plot("tokens", train, [{"step": 5, "bits_per_byte": 2.5}])
    assert plot.held_out_points[0][0] == 50


@pytest.mark.parametrize("points", [[], [{"step": 3, "bits_per_byte": 2.0}], [{"step": "x", "bits_per_byte": 2.0}] * 3])
def test_too_little_for_a_curve_is_none(points):
    assert curve_plot("step", points, []) is None


def test_a_flat_curve_has_a_height():
    plot = curve_plot("step", [{"step": s, "bits_per_byte": 2.0} for s in range(9)], [])
    assert plot is not None and "nan" not in plot.train


@given(st.floats(1e-6, 1e9), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_about_as_many(low, width, about):
    found = ticks(low, low + width, about)
    assert len(found) <= about + 1
    assert all(low - width * 1e-6 <= tick <= (low + width) * (1 + 1e-9) for tick in found)


@given(st.floats(1, 1e7))
def test_time_ticks_fit_and_read_well(seconds):
    found = time_ticks(seconds)
    assert 1 <= len(found) <= 7 and found[-1] <= seconds
    assert all("." not in clock(tick) for tick in found)


def test_theclock():
    assert [clock(s) for s in (0, 15, 60, 75, 3600, 5400)] == ["0s", "15s", "1m", "1m15s", "1h", "1h30m"]
