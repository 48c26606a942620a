"""`inkstone search TEXT QUESTION`: the passages that a question is about, and what they answer."""

import argparse
from typing import Any

LONGEST_SHOWN = 400  # characters of a passage


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("text", metavar="TEXT", help="a folder, a file, an archive, or data:NAME")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="what to look for")
    parser.add_argument("--run", metavar="RUN", help="a run tuned for the task embed: search by meaning as well")
    parser.add_argument("--answer", metavar="RUN", help="a run tuned for the task answer: answer from the passages")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="passages to show (default 5)")
    parser.add_argument("--index", metavar="FOLDER", help="keep the index there from call to call")
    parser.add_argument("--score", metavar="FILE", help="records of question, file and line: how well they are found")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, the default: a GPU where there is one")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search, and print what was found."""
    from inkstone.tasks.search import search

    facts = search(
        options.text,
        options.questions,
        run=options.run,
        answer=options.answer,
        top=options.top,
        index=options.index,
        score=options.score,
        device=options.device,
        quiet=options.quiet or options.json,
    )
    if not options.json:
        print(as_text(facts))
    return facts


def as_text(facts: dict[str, Any]) -> str:
    """Each question with its answer and its passages, and what was searched."""
    from inkstone.evaluation.figure_words import figure_in_words
    from inkstone.progress import human_time

    lines = []
    for result in facts["results"]:
        if len(facts["results"]) > 1:
            lines.append(result["question"])
        if "answer" in result:
            found = result["answer"]
            lines.append(
                f"{found['text']}   ({found['confidence']:.0%} sure, {found['place']})"
                if found
                else "(no answer found)"
            )
            lines.append("")
        if not result["passages"]:
            lines.append("(no passage shares a word with it)")
        for passage in result["passages"]:
            text = " ".join(passage["text"].split())
            lines += [passage["place"], f"  {text[:LONGEST_SHOWN]}{' ...' if len(text) > LONGEST_SHOWN else ''}"]
        lines.append("")
    if facts["scores"]:
        lines.append(f"{(number := facts['scores']['questions']):,} question{'s' * (number != 1)}")
        lines += [
            f"  {name:<12}{figure_in_words(figure)}" for name, figure in facts["scores"].items() if name != "questions"
        ]
        lines.append("")
    left_out = len(facts["skipped"])
    skipped = f"; {left_out:,} {'file' if left_out == 1 else 'files'} could not be read" if left_out else ""
    lines.append(f"{facts['passages']:,} passages, by {facts['by']}, in {human_time(facts['seconds'])}{skipped}")
    return "\n".join(lines)
