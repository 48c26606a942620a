"""`inkstone search-settings TASK DATA --trials N`: which settings tune a task best?"""

import argparse
from typing import Any

from inkstone.cli.run_options import takes_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    from inkstone.tasks import TASKS

    parser.add_argument("task", metavar="TASK", help=f"what to learn: {', '.join(TASKS)}")
    parser.add_argument("data", nargs="+", metavar="DATA", help="files or folders of examples, or data:NAME")
    parser.add_argument("--trials", type=int, default=20, help="runs in all (default 20)")
    parser.add_argument("--minutes", type=float, help="wall clock of each trial, at most (default 1)")
    parser.add_argument(
        "--choose",
        action="append",
        default=[],
        metavar="SECTION.KEY=LOW..HIGH",
        help="what may differ; or A|B; repeatable",
    )
    parser.add_argument("--from", dest="model", metavar="MODEL", help="a run or checkpoint; none: from the start")
    parser.add_argument("--family", metavar="NAME", help="the kind of body where there is no --from")
    parser.add_argument("--dev", action="append", default=[], metavar="DATA", help="examples to compare trials by")
    parser.add_argument("--out", metavar="FOLDER", help="where the trials go (default runs/search-TASK)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; default: 0")
    takes_settings(parser, "a setting of all trials")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search, and print the trials."""
    from inkstone.studies.search_settings import search_settings

    table = search_settings(
        options.task,
        options.data,
        trials=options.trials,
        choose=options.choose,
        minutes=options.minutes,
        model=options.model,
        family=options.family,
        dev=options.dev,
        out=options.out,
        settings=options.settings,
        seed=options.seed,
        quiet=options.json,
    )
    if not options.json:
        print(as_text(table))
    return table


def as_text(table: dict[str, Any]) -> str:
    """The best trials, and the next command."""
    from inkstone.evaluation.figure_words import value_in_words

    lines = [""]
    for row in table["trials"][:10]:
        settings = ", ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in row["settings"].items()
        )
        sign = -1 if table["lower_is_better"] else 1
        score = "   –" if row["score"] is None else value_in_words(sign * row["score"], table["unit"], 5)
        lines.append(f"  {row['number']:>3}  {score}  {settings}{'  (given up)' if row['given_up'] else ''}")
    best = table["best"]
    chosen = " ".join(f"--set {name}={value}" for name, value in best["settings"].items())
    lines += [
        "",
        f"{table['score']} on dev; the best was chosen by it, so score it once on a test part",
        f"page      {table['folder']}/search.html",
        f"next      inkstone tune {table['task']} {' '.join(table['data'])} {chosen} --test DATA",
    ]
    return "\n".join(lines)
