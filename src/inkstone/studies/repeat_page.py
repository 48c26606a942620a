"""study.html: the runs of a study side by side, and the curve over the size of the data."""

from pathlib import Path
from typing import Any

from inkstone.evaluation.curve_plot import svg_path
from inkstone.evaluation.page import rendered, source
from inkstone.files import write_text


def repeat_page(folder: Path, table: dict[str, Any]) -> Path:
    """Write study.html into the folder of a study, and return its path."""
    page = rendered(
        source("repeat.html.jinja", "inkstone.studies"),
        table=table,
        name=folder.resolve().name,
        curve=curve(table) if table["study"] == "curve" else None,
    )
    write_text(folder / "study.html", page)
    return folder / "study.html"


def curve(table: dict[str, Any]) -> dict[str, Any]:
    """The score, and the yardstick's, over the number of training examples, in a square of 100 by 100."""
    score, rows = table["score"], table["rows"]
    sizes = [row["examples"]["train"] for row in rows]
    own = [row["figures"][score]["value"] for row in rows]
    other = [row["yardstick"][score]["value"] for row in rows] if all(row["yardstick"] for row in rows) else []
    low, high = min(own + other), max(own + other)
    low, high = low - 0.1 * (high - low) - 1e-6, high + 0.1 * (high - low) + 1e-6

    def place(size: int, value: float) -> tuple[float, float]:
        return round(100 * size / max(sizes), 2), round(100 * (value - low) / (high - low), 2)

    points = [place(size, value) for size, value in zip(sizes, own, strict=True)]
    return {
        "own": svg_path(points),
        "points": points,
        "other": svg_path([place(size, value) for size, value in zip(sizes, other, strict=False)]),
        "ticks": [{"place": x, "label": f"{size:,}"} for (x, _), size in zip(points, sizes, strict=True)],
        "low": low,
        "high": high,
    }
