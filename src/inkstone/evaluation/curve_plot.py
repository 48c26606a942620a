"""The learning curve as geometry: places in percent, so that a page can stretch it and keep its letters their size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inkstone.evaluation.record import number
from inkstone.progress import human_count, human_time

MOST_POINTS = 300
FIRST_PART = 0.08  # of the run, in which the loss falls from the height of a fresh model and would squeeze the rest


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    place: float  # percent of the axis, from the left or from the bottom
    label: str


@dataclass(frozen=True)
class CurvePlot:
    """One plot: lines as SVG paths in a square of 100 by 100, and the ticks."""

    axis: str  # "seconds", "step" or "tokens"
    train: str
    held_out: str
    held_out_points: list[tuple[float, float]]  # left, bottom in percent
    level: float | None  # height of the yardstick's line
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def curve_plot(
    axis: str, train: Sequence[dict[str, Any]], held_out: Sequence[dict[str, Any]], level: float | None = None
) -> CurvePlot | None:
    """The plot of bits per byte over "seconds", "step" or "tokens"; None where there are fewer than two places.

    `level` is a figure drawn as a horizontal line where it falls inside the plot.
    """
    train_points = _points(axis, train)
    held_points = _points(axis, held_out if axis != "tokens" else _with_tokens(held_out, train))
    places = [x for x, _ in train_points + held_points]
    if len(set(places)) < 2:
        return None
    right = max(places)
    shown = _binned(train_points, right)
    early = FIRST_PART * right
    heights = [y for x, y in shown + held_points if x >= early] or [y for _, y in shown + held_points]
    low, high = min(heights), max(heights)
    if level is not None and level < high * 1.3:
        low, high = min(low, level), max(high, level)
    margin = max(0.06 * (high - low), 1e-3 * abs(high), 1e-9)
    low, high = low - margin, high + margin

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return round(100 * point[0] / right, 2), round(100 * (point[1] - low) / (high - low), 2)

    label: dict[str, Callable[[float], str]] = {"seconds": clock, "step": human_count, "tokens": human_count}
    x_steps = ticks(0, right, 5) if axis != "seconds" else time_ticks(right)
    y_steps = ticks(low, high, 6)
    places_after = max(0, -math.floor(math.log10(y_steps[1] - y_steps[0]) + 1e-9)) if len(y_steps) > 1 else 2
    held = [place(point) for point in held_points]
    return CurvePlot(
        axis=axis,
        train=svg_path([place(point) for point in shown]),
        held_out=svg_path(held),
        held_out_points=[(x, y) for x, y in held if 0 <= y <= 100] if len(held) <= 60 else [],
        level=place((0, level))[1] if level is not None and low <= level <= high else None,
        x_ticks=[Tick(round(100 * x / right, 2), label[axis](x)) for x in x_steps],
        y_ticks=[Tick(place((0, y))[1], f"{y:.{places_after}f}") for y in y_steps],
    )


def _points(axis: str, entries: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    pairs = ((number(entry.get(axis)), number(entry.get("bits_per_byte"))) for entry in entries)
    return sorted((x, y) for x, y in pairs if x is not None and y is not None and x >= 0)


def _with_tokens(held_out: Sequence[dict[str, Any]], train: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scores of held-out text carry no count of tokens; the steps do."""
    last = next((e for e in reversed(train) if number(e.get("step")) and number(e.get("tokens"))), None)
    if last is None:
        return []
    each = last["tokens"] / last["step"]
    return [{**entry, "tokens": entry["step"] * each} for entry in held_out if number(entry.get("step")) is not None]


def _binned(points: list[tuple[float, float]], right: float) -> list[tuple[float, float]]:
    """Means over equal stretches of the axis, where there are more points than can be told apart."""
    if len(points) <= MOST_POINTS:
        return points
    bins: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        bins.setdefault(min(MOST_POINTS - 1, int(MOST_POINTS * x / right)), []).append((x, y))
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for _, part in sorted(bins.items())
    ]


def svg_path(points: list[tuple[float, float]]) -> str:
    """An SVG path; its y axis points down, and a height far outside the plot is cut to keep numbers short."""
    return "M" + "L".join(f"{x:g} {100 - min(y, 400):g}" for x, y in points) if len(points) > 1 else ""


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between low and high, about so many of them: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(right: float) -> list[float]:
    """Round times from 0 to `right` seconds, seven at most."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
    step = next((s for s in steps if right / s <= 6), 86400 * math.ceil(right / 86400 / 6))
    return [number * step for number in range(int(right / step) + 1)]


def clock(seconds: float) -> str:
    """A time on an axis: minutes where they are whole."""
    if seconds < 60 or seconds % 60:
        return human_time(seconds).replace(".0s", "s")
    return f"{int(seconds) // 60}m" if seconds < 3600 else human_time(seconds).replace("h00m", "h")
