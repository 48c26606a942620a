"""What did each idea in the history of the field buy? Every family on the same text for the same minutes.

    INKSTONE_DATA=... python benchmarks/families.py --minutes 2

The verb `inkstone compare` on three texts of the mirror, each with the held-out text of `quality.py`: tiny Shakespeare's
last tenth, WikiText-2's validation part (its test part is left alone), the last twentieth of each Chinese novel.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quality import SETS, parts
from results import write_result

HERE = Path(__file__).parent


def compared(
    mirror: Path, folder: Path, name: str, minutes: float, threads: int | None, families: list[str] = ()
) -> dict[str, Any]:
    """The table of `inkstone compare` on one text, kept in folder/NAME; where it lies there unfinished, it is gone on with."""
    learned, kept = parts(mirror, name)
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out = folder / f"{name}.txt", folder / f"{name}-held-out.txt"
    train.write_text(learned, encoding="utf-8", newline="")
    held_out.write_text(kept, encoding="utf-8", newline="")
    command = [sys.executable, "-m", "inkstone", "compare", str(train), "--held-out", str(held_out), "--json"]
    command += ["--minutes", str(minutes), "--out", str(folder / name)]
    command += ["--set", f"train.threads={threads}"] if threads else []
    for family in families:
        command += ["--family", family]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said)


@contextmanager
def kept_or_scratch(folder: Path | None) -> Iterator[Path]:
    """The folder that was named, else one that is gone afterwards."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--threads", type=int, help="of every run; default all cores")
    parser.add_argument("--folder", type=Path, help="keep the runs here, and go on with those that lie here")
    parser.add_argument("--out", default=str(HERE / "results" / "families.json"))
    options = parser.parse_args()
    mirror = Path(os.environ["INKSTONE_DATA"])
    rows: list[list] = []
    with kept_or_scratch(options.folder) as folder:
        for name in options.sets:
            table = compared(mirror, folder, name, options.minutes, options.threads)
            for row in table["rows"]:
                interval = f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None else ""
                figures = [row["parameters"], round(row["train_seconds"], 1), round(row["tokens_scored_per_second"])]
                memory = round(row["peak_memory_bytes"] / 1e6)
                rows.append(
                    [name, row["name"], round(row["bits_per_byte"], 4), interval, row["likelihood"], *figures, memory]
                )
            columns = ["text", "model", "bits per byte", "95 % interval", "likelihood"]
            columns += ["weights", "seconds of training", "tokens scored a second", "peak memory, MB"]
            write_result(
                options.out,
                question="What did each idea in the history of the field buy, on the same text in the same minutes?",
                columns=columns,
                rows=rows,
                notes=[
                    f"{options.minutes:g} minutes of wall clock each, preparation, scoring and report included",
                    f"threads of every run: {options.threads or 'all cores'}",
                    "a pseudo-log-likelihood sees both sides of each token and is no probability of the text; a bound is at "
                    "least as high as the true figure",
                ],
            )


if __name__ == "__main__":
    main()
