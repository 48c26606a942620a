"""The one form of every benchmark's outcome: a question, the command, the machine, a table, notes.

Each benchmark ends in `write_result`, which prints the table and writes `benchmarks/results/NAME.json`;
`benchmarks/render.py` makes the page `docs/benchmarks.md` of all that lie there.
"""

import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from inkstone.environment import cpu_name, environment
from inkstone.files import write_json
from inkstone.progress import human_bytes

FOLDER = Path(__file__).parent / "results"


def write_result(
    path: Path | str,
    *,
    question: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    notes: Sequence[str] = (),
) -> None:
    """Print the table, and write it with what is needed to make it again."""
    result = {
        "question": question,
        "command": command(),
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "table": {"columns": list(columns), "rows": [list(row) for row in rows]},
        "notes": [" ".join(note.split()) for note in notes],
    }
    write_json(Path(path), result)
    print(as_text(result["table"]))


def read_results(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """All results that lie there, by name, sorted."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def as_text(table: dict[str, Any]) -> str:
    """The table for a screen: columns padded, numbers to the right."""
    cells = [[str(name) for name in table["columns"]]] + [[cell(value) for value in row] for row in table["rows"]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(table["columns"]))]
    lines = []
    for number, row in enumerate(cells):
        values = [None] * len(row) if number == 0 else table["rows"][number - 1]
        padded = [
            text.rjust(width) if isinstance(value, int | float) else text.ljust(width)
            for text, width, value in zip(row, widths, values, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def cell(value: Any) -> str:
    """One value as people write it: thousands separated, and no more digits than were measured."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def command() -> str:
    """What was typed, with paths outside the repository cut to their last part."""
    root = Path(__file__).parent.parent
    words = ["python", str(Path(sys.argv[0]).resolve().relative_to(root))]
    for word in sys.argv[1:]:
        name, sign, path = word.rpartition("=")
        words.append(shlex.quote(name + sign + Path(path).name if os.path.isabs(path) else word))
    return " ".join(words)


def machine() -> dict[str, str]:
    """The machine and the versions that the figures depend on."""
    cores = len(psutil.Process().cpu_affinity() or [0]) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
    gpu = environment()["gpu"]
    return {
        **({"GPU": gpu} if gpu else {}),
        "processor": f"{cpu_name()}, {cores} cores",
        "memory": human_bytes(psutil.virtual_memory().total),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "torch": version("torch"),
        "inkstone": version("inkstone"),
    }
