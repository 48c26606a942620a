"""`inkstone adapt RUN`: a model that answers learns from the marks that people gave its answers."""

import argparse
from typing import Any

from inkstone.cli.run_options import can_be_resumed, takes_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "run",
        nargs="?",
        default="",
        metavar="RUN",
        help="a model that answers: a run of inkstone tune chat, or a checkpoint",
    )
    parser.add_argument(
        "--from",
        dest="marks",
        metavar="FILE",
        help="feedback.sqlite of the studio, or pairs as inkstone tune prefer takes them (default: the one beside RUN)",
    )
    parser.add_argument(
        "--regenerate",
        action="store_true",
        help="let the model answer anew where a mark has no counterpart, which makes a pair of it",
    )
    parser.add_argument("--minutes", type=float, help="wall clock for learning, at most (default 5)")
    parser.add_argument("--out", metavar="FOLDER", help="the new run (default RUN-adapted)")
    takes_settings(parser)
    can_be_resumed(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Adapt, and show what became better."""
    from inkstone.serving.learning_from_marks import adapt

    outcome = adapt(
        options.run,
        marks=options.marks,
        regenerate=options.regenerate,
        minutes=options.minutes,
        out=options.out,
        settings=options.settings,
        resume=options.resume,
        fresh=options.fresh,
        quiet=options.json,
    )
    if not options.json:
        print(as_text(outcome))
    return outcome


def as_text(outcome: dict[str, Any]) -> str:
    """Before and after on the marks that were kept aside, and the next command."""
    from inkstone.progress import human_time

    parts, kept_aside = outcome["examples"], outcome["kept_aside"]
    what = "pairs" if outcome["task"] == "prefer" else "good answers"
    lines = ["", f"{parts['test']:,} {what} kept aside           before     after"]
    for name, figure in kept_aside.items():
        before, after = (_told(name, figure[when]) for when in ("before", "after"))
        lines.append(f"  {name:<24}{before:>10}{after:>10}")
    if not _better(kept_aside):
        lines.append("  it is no better than it was: more marks are needed, or marks that agree")
    folder = outcome["folder"]
    lines += [
        f"learned from {parts['train']:,} {what} in {outcome['steps']:,} steps · {human_time(outcome['seconds'])} in all",
        "",
        f"report    {folder}/report.html",
        f"next      inkstone chat {folder}",
        f"          inkstone serve {folder}",
    ]
    return "\n".join(lines)


def _told(name: str, value: float) -> str:
    return f"{100 * value:.1f} %" if name in ("reward accuracy", "likelier") else f"{value:.3f}"


def _better(kept_aside: dict[str, dict[str, float]]) -> bool:
    if "reward accuracy" in kept_aside:
        figure = kept_aside["reward accuracy"]
        return figure["after"] > figure["before"]
    return all(figure["after"] < figure["before"] for figure in kept_aside.values())
