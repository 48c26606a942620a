"""`inkstone report RUN`: the run's report and model card, drawn anew from what it recorded."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", help="a run folder, finished or not")
    parser.add_argument("--open", action="store_true", help="show the report in the browser")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Write both files and say where they are."""
    from inkstone.evaluation.report import report

    path = report(options.run)
    card = path.with_name("README.md")
    if not options.json:
        print(f"report      {path}\nmodel card  {card}")
    if options.open:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return {"run": str(options.run), "report": str(path), "model_card": str(card)}
