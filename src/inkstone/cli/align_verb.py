"""`inkstone align SOURCE TARGET --out FILE`: which word translates which, learned from the two files themselves."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("source", metavar="SOURCE", help="a file of sentences, one a line")
    parser.add_argument("target", metavar="TARGET", help="their translations, line by line")
    parser.add_argument("--out", required=True, metavar="FILE", help="the links to write, in Pharaoh format: 0-0 1-2")
    parser.add_argument("--model", type=int, choices=[1, 2], default=2, help="IBM Model 1 or 2 (default 2)")
    parser.add_argument("--iterations", type=int, default=5, metavar="N", help="of each model (default 5)")
    parser.add_argument(
        "--symmetrisation",
        choices=["grow-diag-final-and", "intersection", "union", "forward", "backward"],
        default="grow-diag-final-and",
        help="how both directions become one (default grow-diag-final-and)",
    )
    parser.add_argument(
        "--segment", action="store_true", help="find the words, for Chinese and for text that is not tokenised"
    )
    parser.add_argument(
        "--gold", metavar="FILE", help="links by people, to measure against; nothing is learned from them"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Learn and align, print the outcome unless it is asked for as JSON, and return it."""
    from inkstone.tasks.word_alignment import align

    facts = align(
        options.source,
        options.target,
        options.out,
        model=options.model,
        iterations=options.iterations,
        symmetrisation=options.symmetrisation,
        segment=options.segment,
        gold=options.gold,
        quiet=options.quiet or options.json,
    )
    if not options.json:
        print(outcome(facts, options))
    return facts


def outcome(facts: dict[str, Any], options: argparse.Namespace) -> str:
    """The facts as words on a screen."""
    from inkstone.progress import human_time

    lines = [
        f"{facts['links']:,} links in {facts['pairs']:,} pairs of lines ({facts['source_words']:,} and "
        f"{facts['target_words']:,} words), IBM Model {facts['model']}, {facts['symmetrisation']}, "
        f"in {human_time(facts['seconds'])}",
    ]
    if "alignment_error_rate" in facts:
        lines.append(
            f"Against {options.gold}: alignment error rate {facts['alignment_error_rate']:.1%}, "
            f"precision {facts['precision']:.1%}, recall {facts['recall']:.1%}"
        )
    lines += ["", "Frequent words and what they become"]
    for word, found in facts["examples"].items():
        lines.append(f"  {word}: " + ", ".join(f"{to} {chance:.2f}" for to, chance in found))
    other = "intersection" if options.symmetrisation != "intersection" else "union"
    segment = " --segment" if options.segment else ""
    lines += [
        "",
        f"Written to {facts['out']}",
        f"Next: inkstone align {options.source} {options.target}{segment} --symmetrisation {other} --out {other}.txt",
    ]
    return "\n".join(lines)
