"""What benchmarks share that tune a model on one data set after the other: their options, and rows that are made once and kept."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from inkstone.files import write_json
from mirror import the_mirror
from results import FOLDER, write_result

Rows = list[list[Any]]


def said(*words: Any) -> dict[str, Any]:
    """What a command of ours prints as JSON."""
    command = [sys.executable, "-m", "inkstone", *map(str, words), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def options_of(about: str, sets: Iterable[str], result: str, minutes: float | None = None) -> argparse.Namespace:
    """What was typed: sets, seeds, folder, out, and where runs have `minutes` of their own these and settings."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    names = list(sets)
    parser.add_argument("--sets", nargs="+", default=names, choices=names, metavar="SET", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=3)
    if minutes is not None:
        parser.add_argument("--minutes", type=float, default=minutes, help="of each run, everything included")
        parser.add_argument(
            "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="settings beside the recipe's"
        )
    parser.add_argument(
        "--folder", type=Path, required=True, help="of the runs, which are taken as they are where they lie here"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / f"{result}.json")
    return parser.parse_args()


def write_table(
    options: argparse.Namespace,
    sets: Iterable[str],
    rows_of: Callable[[str, Path, Path, argparse.Namespace], Rows],
    *,
    question: str,
    columns: Sequence[str],
    notes: Sequence[str],
) -> None:
    """Make the rows that are asked for and do not lie in the folder yet, by `rows_of` (set, mirror, folder, options), and write all
    that lie there, in the order of `sets`."""
    mirror, folder = the_mirror(), options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        kept = folder / f"{name}.json"
        if not kept.exists():
            write_json(kept, rows_of(name, mirror, folder, options))
    lying = [path for name in sets if (path := folder / f"{name}.json").exists()]
    rows = [row for path in lying for row in json.loads(path.read_text(encoding="utf-8"))]
    write_result(options.out, question=question, columns=columns, rows=rows, notes=notes)
