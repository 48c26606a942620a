"""`inkstone quantise RUN`: the weights of a model as short integers, and what that costs."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", help="the folder of a decoder: a run, or a checkpoint")
    parser.add_argument("--bits", type=int, choices=(8, 4), default=8, help="of each weight; default: 8")
    parser.add_argument(
        "--out", metavar="FOLDER", help="where to write; default: beside the run, as RUN-int8 or RUN-int4"
    )
    parser.add_argument(
        "--text",
        nargs="+",
        metavar="TEXT",
        help="measure bits per byte before and after on these files, folders or data:NAME, or on the run's own held-out text: held-out",
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the text to measure on, evenly spaced; default: 1"
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Quantise, and say what became smaller and what was lost."""
    from inkstone.evaluation.quantise import quantise
    from inkstone.progress import human_bytes

    facts = quantise(options.run, options.bits, out=options.out, text=options.text, share=options.share)
    if not options.json:
        before, after = facts["bytes_before"], facts["bytes"]
        print(f"{facts['path']}  ({human_bytes(after)}, was {human_bytes(before)}: {after / before:.0%})")
        if "bits_per_byte" in facts:
            old, new = facts["bits_per_byte_before"], facts["bits_per_byte"]
            print(f"bits per byte {new:.4f}, was {old:.4f}: {new - old:+.4f}")
        print(f'\nnext: inkstone generate {facts["path"]} "..."')
    return facts
