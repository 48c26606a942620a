"""compare.html: the table of a comparison as a page, with the figures drawn, the curves over time, and the samples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.evaluation.curve_plot import Tick, clock, svg_path, ticks, time_ticks
from inkstone.evaluation.page import rendered, source
from inkstone.evaluation.record import number
from inkstone.files import write_text
from inkstone.run import Run

COLOURS = ("#b3301f", "#2f6f8f", "#8a6d1d", "#4d7c3a", "#7a4a8c", "#c2703d", "#3c8a86", "#6b6b6b", "#3d4f9f", "#b0578d")
HIGHEST = 1.6  # times the best figure: what is above only tells how a fresh model begins


@dataclass(frozen=True)
class Curve:
    """One model's score on held-out text over the seconds of its training."""

    name: str
    colour: str
    path: str


@dataclass(frozen=True)
class Curves:
    """Several curves in one square of 100 by 100."""

    curves: list[Curve]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def compare_page(folder: Path, table: dict[str, Any]) -> Path:
    """Write compare.html into the folder of a comparison, and return its path."""
    rows = table["rows"]
    longest = max(row["high"] or row["bits_per_byte"] for row in rows)
    page = rendered(
        source("compare.html.jinja", "inkstone.studies"),
        table=table,
        rows=rows,
        longest=longest,
        curves=curves(rows),
        name=folder.resolve().name,
    )
    write_text(folder / "compare.html", page)
    return folder / "compare.html"


def curves(rows: list[dict[str, Any]]) -> Curves | None:
    """What each model that learns step by step scored while it learned; None where there is no such curve."""
    found = []
    for row in rows:
        points = [
            (entry["seconds"], entry["bits_per_byte"])
            for entry in Run(row["folder"]).metrics("held-out")
            if number(entry.get("seconds")) is not None and number(entry.get("bits_per_byte")) is not None
        ]
        if len(points) > 1:
            found.append((row["name"], points))
    if not found:
        return None
    heights = [y for _, points in found for _, y in points]
    low, right = min(heights), max(x for _, points in found for x, _ in points)
    high = max(y for _, points in found for x, y in points[-1:]) if right else low
    high = max(high, HIGHEST * low) * 1.03
    low = low - 0.05 * (high - low)

    def place(x: float, y: float) -> tuple[float, float]:
        return round(100 * x / right, 2), round(100 * (y - low) / (high - low), 2)

    drawn = [
        Curve(name, COLOURS[at % len(COLOURS)], svg_path([place(x, y) for x, y in points]))
        for at, (name, points) in enumerate(found)
    ]
    return Curves(
        drawn,
        x_ticks=[Tick(place(x, low)[0], clock(x)) for x in time_ticks(right)],
        y_ticks=[Tick(place(0, y)[1], f"{y:g}") for y in ticks(low, high, 6)],
    )
