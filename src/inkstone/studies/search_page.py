"""search.html: the trials of a search as a table, and each setting against the score as a picture."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.evaluation.page import rendered, source
from inkstone.files import write_text


@dataclass(frozen=True)
class Dot:
    """A trial in a square of 100 by 100, from the left and from the bottom."""

    x: float
    y: float
    title: str
    given_up: bool


@dataclass(frozen=True)
class Scatter:
    """One setting against the score; `left` and `right` are the ends of the axis in words."""

    name: str
    dots: list[Dot]
    left: str
    right: str


def search_page(folder: Path, table: dict[str, Any]) -> Path:
    """Write search.html into the folder of a search, and return its path."""
    scored = [row for row in table["trials"] if row["score"] is not None]
    values = [row["score"] for row in scored]
    sign = -1 if table.get("lower_is_better") else 1
    page = rendered(
        source("search.html.jinja", "inkstone.studies"),
        table=table,
        name=folder.resolve().name,
        scatters=[scatter(name, scored, name in table["logarithmic"], sign) for name in table["names"]],
        low=min(values),
        high=max(values),
    )
    write_text(folder / "search.html", page)
    return folder / "search.html"


def scatter(name: str, rows: list[dict[str, Any]], logarithmic: bool, sign: int = 1) -> Scatter:
    """The trials by the value of one setting; values that are no numbers stand side by side in their order.

    `sign` is −1 where less is better, so that scores stand in the table with their signs turned.
    """
    given = [row["settings"][name] for row in rows]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    if numbers:
        places = [math.log(value) if logarithmic else float(value) for value in given]
        ends = f"{min(given):.3g}", f"{max(given):.3g}"
    else:
        kinds = sorted({str(value) for value in given})
        places = [float(kinds.index(str(value))) for value in given]
        ends = kinds[0], kinds[-1]
    scores = [row["score"] for row in rows]
    dots = [
        Dot(_place(x, places), _place(row["score"], scores), f"{value}: {sign * row['score']:.4f}", row["given_up"])
        for row, value, x in zip(rows, given, places, strict=True)
    ]
    return Scatter(name, dots, *ends)


def _place(value: float, among: list[float]) -> float:
    low, high = min(among), max(among)
    return round(5 + 90 * (value - low) / (high - low), 2) if high > low else 50.0
