"""`inkstone import SOURCE`: a checkpoint of others as a run folder."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "source", metavar="SOURCE", help="a checkpoint folder in Hugging Face layout, or a hub name (organisation/name)"
    )
    parser.add_argument("--out", metavar="FOLDER", help="the run folder to make (default: runs/NAME)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Import and say what to do next."""
    from inkstone.hub.import_model import import_model
    from inkstone.progress import human_bytes, human_count

    made = import_model(options.source, options.out)
    origin = made.facts()["origin"]
    size = sum(file["bytes"] for file in origin["files"].values())
    if not options.json:
        parameters = human_count(origin["parameters"], "parameters")
        print(f"{made.folder}  ({origin['architecture']}, {parameters}, {origin['dtype']}, {human_bytes(size)})")
        if origin["architecture"] == "WhisperForConditionalGeneration":
            print(f"Next:  inkstone predict {made.folder} RECORDING")
        else:
            print(f'Next:  inkstone generate {made.folder} "..."   or   inkstone eval {made.folder} TEXT')
    return {"run": str(made.folder), **{key: value for key, value in origin.items() if key != "files"}, "bytes": size}
