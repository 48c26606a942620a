"""`inkstone compare TEXT... --minutes N`: every family of language model side by side."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("text", nargs="*", metavar="TEXT", help="files, folders, data:NAME, or -; none: Python's docs")
    parser.add_argument("--minutes", type=float, default=2.0, help="wall clock of each model (default 2)")
    parser.add_argument(
        "--family", dest="families", action="append", default=[], metavar="NAME", help="only this family, repeatable"
    )
    parser.add_argument(
        "--held-out", action="append", default=[], metavar="TEXT", help="text to score on, instead of a part of TEXT"
    )
    parser.add_argument("--out", metavar="FOLDER", help="where the runs and the table go (default runs/compare-NAME)")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="one setting, for every family that has it; repeatable",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compare, and print the table."""
    from inkstone.studies.compare import compare

    table = compare(
        options.text,
        minutes=options.minutes,
        families=options.families,
        held_out=options.held_out,
        out=options.out,
        settings=options.settings,
        quiet=options.json,
    )
    if not options.json:
        print(as_text(table))
    return table


def as_text(table: dict[str, Any]) -> str:
    """The table as a person reads it, with the next command."""
    from inkstone.progress import human_bytes, human_count, human_time

    head = ("", "bits per byte", "95 % interval", "weights", "training", "scored/s", "memory", "")
    lines: list[tuple[str, ...]] = [head]
    for row in table["rows"]:
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None else ""
        lines.append(
            (
                row["name"], f"{row['bits_per_byte']:.3f}", interval, human_count(row["parameters"]),
                human_time(row["train_seconds"]), human_count(row["tokens_scored_per_second"]),
                human_bytes(row["peak_memory_bytes"]), "" if row["likelihood"] == "exact" else row["likelihood"],
            )
        )  # fmt: skip
    for name, value in table["yardsticks"].items():
        if isinstance(value, float):
            lines.append((name, f"{value:.3f}", "", "", "", "", "", ""))
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if at in (0, 7) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    samples = [f"{row['name']}: {' '.join(row['sample'].split())[:160]}" for row in table["rows"]]
    folder = table["folder"]
    best = table["rows"][0]["folder"]
    return "\n".join(
        ["", *text, "", *samples, "", f"page      {folder}/compare.html", f'next      inkstone generate {best} "Once"']
    )
