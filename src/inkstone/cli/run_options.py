"""Options that verbs which make runs have in common."""

import argparse


def takes_settings(parser: argparse.ArgumentParser, told: str = "one setting, repeatable") -> None:
    """`--set`; `told` is what it sets."""
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help=told,
    )


def can_be_resumed(parser: argparse.ArgumentParser) -> None:
    """`--resume` and `--fresh`."""
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    parser.add_argument("--fresh", action="store_true", help="replace the run that stands in --out")
