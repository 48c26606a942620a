"""`inkstone compare TEXT... --minutes N`: every family side by side; `inkstone compare RUN1 RUN2 --on DATA`: two runs."""

import argparse
from typing import Any

from inkstone.cli.run_options import takes_settings


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
    takes_settings(parser, "one setting, for every family that has it; repeatable")
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="DATA",
        help="compare two runs, named in the place of TEXT, on this",
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
        on=options.on,
        quiet=options.json,
    )
    if not options.json:
        print(runs_as_text(table) if options.on else as_text(table))
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


def runs_as_text(table: dict[str, Any]) -> str:
    """Two runs on the same data: each figure, the difference with its interval, and whether it may be luck."""
    first, second = table["runs"]
    lines = ["", f"{first} and {second} on {', '.join(table['on'])}, {table['units']:,} units", ""]
    for row in table["rows"]:
        scale, unit, digits = (1, "", 3) if row["name"] == "bits per byte" else (100, " %", 1)
        values = " and ".join(
            f"{scale * value:.3f}" if scale == 1 else f"{scale * value:.1f} %" for value in row["values"]
        )
        interval = ""
        if row["low"] is not None:
            interval = f" (95 % interval {scale * row['low']:+.{digits}f} to {scale * row['high']:+.{digits}f})"
        lines.append(
            f"  {row['name']:<18}{values}   difference {scale * row['difference']:+.{digits}f}{unit}{interval}"
        )
        verdict = "hardly luck" if row["p"] < 0.05 else "may be luck"
        lines.append(f"  {'':<18}p {_probability(row['p'])}, {verdict} (paired permutation test)")
        if "mcnemar" in row:
            found = row["mcnemar"]
            lines.append(
                f"  {'':<18}right by the first alone {found['only_first']:,}, by the second alone {found['only_second']:,}; "
                f"McNemar p {_probability(found['p'])}"
            )
    lines += ["", *table["notices"]] if table["notices"] else []
    return "\n".join(lines)


def _probability(p: float) -> str:
    """
    >>> _probability(0.0312), _probability(2e-7)
    ('= 0.0312', '< 0.0001')
    """
    return f"= {p:.4f}" if p >= 0.0001 else "< 0.0001"
