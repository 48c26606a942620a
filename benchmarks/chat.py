"""What does a small model learn of conversations? The loss of held-out answers before and after, English and Chinese.

    INKSTONE_DATA=... python benchmarks/chat.py --base-minutes 30 --minutes 10 --threads 1

In each language a decoder is trained on text of the mirror for so many minutes, and then tuned on each set of instructions for so many:
all weights, and changes of low rank. Beside it stands a decoder that learns from the conversations alone. A tenth of each set is kept
aside, the same for all, and near-duplicates stay together; the weights of the lowest loss on it are kept, so that figures after flatter a
little, and those before do not.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from families import HERE, kept_or_scratch
from inkstone.run import Run
from results import write_result

TEXT = {
    "en": ["data:wikitext-2/train.txt", "data:gutenberg-en"],
    "zh": ["data:zhwiki", "data:chinese-novels"],
}
SETS = {
    "en": ["data:instruct-dolly-pairs-3k", "data:instruct-dolly-hhrlhf-1k"],
    "zh": ["data:instruct-oasst-zh"],
}
FIGURES = ("answer loss", "bits per byte")
LONGEST_SHOWN = 160  # characters of an answer in the notes


def command(*words: str, out: Path, resumed: str) -> dict[str, Any]:
    """The outcome of a run of `inkstone`; one that ended before is taken as it is, one that was interrupted is gone on with."""
    begun = (out / "recipe.toml").exists()
    if not begun or "outcome" not in Run.open(out).facts():
        chosen = [resumed, "--resume", str(out)] if begun else [*words, "--out", str(out)]
        subprocess.run([sys.executable, "-m", "inkstone", *chosen], check=True, stdout=sys.stderr)
    return Run.open(out).facts()


def base_of(language: str, minutes: float, settings: list[str], folder: Path) -> tuple[Path, dict[str, Any]]:
    """The decoder of a language, and its outcome."""
    out = folder / f"base-{language}"
    words = [
        "train",
        *TEXT[language],
        "--minutes",
        str(minutes),
        "--set",
        "text.clean=false",
        *settings,
    ]  # these are clean
    return out, command(*words, out=out, resumed="train")["outcome"]


def rows_of(
    name: str, language: str, base: Path, minutes: float, settings: list[str], folder: Path
) -> tuple[list, str]:
    """A row for each way to begin, and the answer that the best of them writes to a question of dev."""
    rows, sample, lowest = [], "", float("inf")
    ways = {
        "from the base": ["--from", str(base)],
        "from the base, rank 8": ["--from", str(base), "--set", "task.lora_rank=8"],
        "from the conversations alone": [],
    }
    for way, further in ways.items():
        out = folder / f"{name.removeprefix('data:')}-{way.replace(' ', '-').replace(',', '')}"
        words = ["tune", "chat", name, "--minutes", str(minutes), *further, *settings]
        facts = command(*words, out=out, resumed="tune")
        figures, began = (
            facts["evaluation"]["figures"]["dev"],
            (facts["evaluation"]["yardstick"] or {}).get("figures", {}),
        )
        before = [round(began["dev"][figure]["value"], 3) if began else None for figure in FIGURES]
        after = [round(figures[figure]["value"], 3) for figure in FIGURES]
        interval = f"{figures[FIGURES[0]]['low']:.3f} to {figures[FIGURES[0]]['high']:.3f}"
        counts = facts["outcome"]["examples"]
        row = [
            name.removeprefix("data:"),
            language,
            way,
            counts["train"],
            counts["dev"],
            facts["training"]["parameters"],
        ]
        rows.append([*row, before[0], after[0], interval, before[1], after[1], round(facts["training"]["epochs"], 1)])
        print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
        if after[0] < lowest and facts.get("samples"):
            lowest, shown = after[0], facts["samples"][0]
            sample = json.dumps([shown["prompt"][:LONGEST_SHOWN], shown["text"][:LONGEST_SHOWN]], ensure_ascii=False)
    return rows, sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--base-minutes", type=float, default=30.0, help="of the decoder that is trained on text")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run on conversations")
    parser.add_argument("--languages", nargs="+", default=[*TEXT], choices=[*TEXT])
    parser.add_argument("--sets", nargs="+", help="only these, by name")
    parser.add_argument("--threads", type=int, help="of every run; default all cores")
    parser.add_argument("--folder", type=Path, help="keep the runs here, and go on with those that lie here")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "chat.json")
    options = parser.parse_args()
    settings = ["--set", f"train.threads={options.threads}"] if options.threads else []
    rows, notes = [], []
    with kept_or_scratch(options.folder) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        for language in options.languages:
            base, outcome = base_of(language, options.base_minutes, settings, folder)
            bits = f"{outcome['bits_per_byte']:.3f} bits per byte of held-out text"
            notes.append(
                f"the base of {language}: {', '.join(TEXT[language])}; {outcome['parameters']:,} weights, {bits}"
            )
            for name in SETS[language]:
                if options.sets and name.removeprefix("data:") not in options.sets:
                    continue
                found, sample = rows_of(name, language, base, options.minutes, settings, folder)
                rows += found
                notes.append(f"{name}: a question of dev and the likeliest answer of the best model: {sample}")
    write_result(
        options.out,
        question="What does a small decoder learn of conversations: the loss of held-out answers before and after?",
        columns=[
            "set", "language", "begins", "conversations", "held out", "weights", "nats a token before", "after", "95 % interval",
            "bits per byte before", "after ", "epochs",
        ],
        rows=rows,
        notes=[
            f"{options.base_minutes:g} minutes for a base, {options.minutes:g} for each run on conversations, everything "
            f"counted; threads of every run: {options.threads or 'all cores'}",
            "Figures are of the answers alone, given what stands before them; the end of a turn is predicted and adds no byte.",
            *notes,
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
