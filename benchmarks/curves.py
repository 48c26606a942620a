"""What does each family of language model make of ten minutes of a CPU? Its score on held-out text as the minutes go by.

    INKSTONE_DATA=... python benchmarks/curves.py --minutes 10 --threads 1

WikiText-2, trained on its training part and scored on its validation part while it learns (its test part is left alone).
The learning rate falls to zero over the run's second half, so that a figure on the way is higher than that of a run
which ends there. What is counted, not learned step by step, has its final figure alone.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from families import HERE, kept_or_scratch
from inkstone.run import Run
from quality import parts
from results import write_result

# One for each family; of the recurrent networks the LSTM.
FAMILIES = (
    "decoder", "recurrent", "convolutional", "neural_ngram", "encoder_decoder", "ngram", "hmm", "encoder", "text_vae",
)  # fmt: skip
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)  # of the minutes, at which the curve is read


def trained(text: Path, held_out: Path, family: str, minutes: float, threads: int | None, out: Path) -> Run:
    """The run of one family; one that ended before is taken as it is, one that was interrupted is gone on with."""
    command = [sys.executable, "-m", "inkstone", "train"]
    if not (out / "recipe.toml").exists():
        command += [str(text), "--held-out", str(held_out), "--family", family, "--minutes", str(minutes)]
        command += ["--out", str(out), *(["--set", f"train.threads={threads}"] if threads else [])]
    else:
        command += ["--resume", str(out)]
    if not (out / "recipe.toml").exists() or "outcome" not in Run.open(out).facts():
        subprocess.run(command, check=True, stdout=sys.stderr)
    return Run.open(out)


def row_of(family: str, run: Run, seconds: float) -> list:
    """Bits per byte at each share of the seconds, and at the end with the perplexity of a word."""
    scores = [(entry["seconds"], entry["bits_per_byte"]) for entry in run.metrics("held-out")]
    spent = run.facts()["cost"]["wall_seconds"]
    lead = sum(value for stage, value in spent.items() if stage not in ("train", "evaluate", "total"))  # came before
    points = []
    for share in SHARES:
        before = [score for at, score in scores if at + lead <= share * seconds]
        points.append(round(before[-1], 3) if before else None)
    figures = json.loads(
        subprocess.run(
            [sys.executable, "-m", "inkstone", "eval", str(run.folder), "--no-yardsticks", "--json"],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout
    )  # fmt: skip
    end = [round(figures["bits_per_byte"], 3), round(figures["perplexity_word"], 1), figures.get("likelihood", "exact")]
    return [family, run.facts()["training"]["parameters"], *points, *end]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--threads", type=int, help="of every run; default all cores")
    parser.add_argument("--folder", type=Path, help="keep the runs here, and go on with those that lie here")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "curves.json")
    options = parser.parse_args()
    rows = []
    with kept_or_scratch(options.folder) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        text, held_out = folder / "wikitext-2.txt", folder / "wikitext-2-held-out.txt"
        for path, part in zip((text, held_out), parts(Path(os.environ["INKSTONE_DATA"]), "wikitext-2"), strict=True):
            path.write_text(part, encoding="utf-8", newline="")
        for family in options.families:
            run = trained(text, held_out, family, options.minutes, options.threads, folder / family)
            rows.append(row_of(family, run, options.minutes * 60))
            print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
    rows.sort(key=lambda row: row[-3])
    write_result(
        options.out,
        question="What does each family make of ten minutes of a CPU on WikiText-2?",
        columns=[
            "model", "weights", *(f"after {share * options.minutes:g} min" for share in SHARES),
            "bits per byte", "perplexity of a word", "likelihood",
        ],
        rows=rows,
        notes=[
            f"{options.minutes:g} minutes of wall clock each, everything counted; threads of every run: "
            f"{options.threads or 'all cores'}. Columns on the way are bits per byte while the learning rate is still high.",
            "Held-out text is the validation part; a word is what stands between spaces or a mark, ends of lines not counted.",
            "a pseudo-log-likelihood sees both sides of each token and is no probability of the text; a bound is at least as "
            "high as the true figure",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
