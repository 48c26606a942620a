"""`inkstone train TEXT... --minutes N`."""

import argparse
import sys
from typing import Any

from inkstone.cli.run_options import can_be_resumed, takes_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "text",
        nargs="*",
        metavar="TEXT",
        help="files, folders, data:NAME, or - for standard input; none: Python's docs",
    )
    parser.add_argument("--minutes", type=float, help="wall clock for everything (default 5)")
    parser.add_argument("--family", metavar="NAME", help="the kind of model (default decoder)")
    parser.add_argument("--out", metavar="FOLDER", help="the run folder (default runs/NAME)")
    parser.add_argument(
        "--held-out", action="append", default=[], metavar="TEXT", help="text to score on, instead of a part of TEXT"
    )
    parser.add_argument("--recipe", metavar="FILE", help="a TOML file of settings")
    takes_settings(parser)
    can_be_resumed(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, and say what came of it."""
    began = start_of_process() if options.own_process else None
    from inkstone.progress import human_count, human_time
    from inkstone.training.pretraining import train

    outcome = train(
        options.text,
        minutes=options.minutes,
        family=options.family,
        held_out=options.held_out,
        out=options.out,
        recipe=options.recipe,
        settings=options.settings,
        resume=options.resume,
        fresh=options.fresh,
        began=began,
    )
    if not options.json:
        out = sys.stdout
        folder = outcome["folder"]
        low, high = outcome["low"], outcome["high"]
        interval = f" (95 % interval {low:.3f} to {high:.3f})" if low is not None else ""
        print(f"\n{outcome['bits_per_byte']:.3f} bits per byte on held-out text{interval}", file=out)
        for name, value in outcome["yardsticks"].items():
            if isinstance(value, float):
                print(f"{value:.3f} {name}", file=out)
        print(
            f"{human_count(outcome['parameters'], 'weights')} · {human_count(outcome['tokens'], 'tokens')} seen in "
            f"{outcome['steps']:,} steps · {human_time(outcome['seconds'])} in all\n",
            file=out,
        )
        print(outcome["sample"].strip(), file=out)
        print(f"\nreport    {folder}/report.html", file=out)
        print(f'next      inkstone generate {folder} "Once"', file=out)
        print(f"          inkstone export {folder} --to hf", file=out)
    return outcome


def start_of_process() -> float:
    """The moment at which this process began, on the clock of `time.perf_counter`: loading the program counts, too."""
    import time

    import psutil

    return time.perf_counter() - (time.time() - psutil.Process().create_time())
