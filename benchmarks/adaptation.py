"""What does a model gain on new text and lose on old text, with and without replay, against one from the start?

    INKSTONE_DATA=... python benchmarks/adaptation.py --minutes 5 --base-minutes 5

From zhwiki to Chinese novels (the same language), from WikiText-2 to English novels, and from WikiText-2 to Chinese novels
(another language: the tokenizer gets new tokens). Each model that is adapted begins at the same base; the one from the start
learns the new text alone in the same minutes. All are then scored by the same `inkstone eval` on text that none of them learned
from: WikiText-2's validation part, every twentieth article of zhwiki, the last twentieth of each novel.
"""

import argparse
import json
import lzma
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from inkstone.text.document import kept
from inkstone.text.reading import read
from results import write_result

HERE = Path(__file__).parent
PAIRS = {
    "zhwiki → novels": ("zhwiki", "chinese-novels"),
    "WikiText-2 → novels": ("wikitext-2", "gutenberg-en"),
    "WikiText-2 → Chinese novels": ("wikitext-2", "chinese-novels"),
}
COLUMNS = (
    "from → to",
    "model",
    "minutes",
    "new before",
    "new after",
    "old before",
    "old after",
    "lost on old, %",
    "wall s",
)
MOST_SCORED = 400_000  # characters


def text_of(path: Path) -> str:
    """One file of the mirror."""
    return lzma.decompress(path.read_bytes()).decode("utf-8")


def parts(mirror: Path, name: str) -> tuple[str, str]:
    """Text to learn from and text to be scored on."""
    if name == "wikitext-2":
        train, valid = (text_of(mirror / name / f"{part}.txt.xz") for part in ("train", "valid"))
        return train, valid[:MOST_SCORED]
    if name == "zhwiki":
        articles = [text for frame in read([f"data:{name}"]) for text in kept(frame)["text"].to_list() if text]
        learned = [text for number, text in enumerate(articles) if number % 20]
        return "\n\n".join(learned), "\n\n".join(articles[::20])[:MOST_SCORED]
    books = [text_of(path) for path in sorted((mirror / name).glob("*.txt.xz"))]
    cuts = [len(text) * 19 // 20 for text in books]
    kept_aside = "\n\n".join(text[cut:] for text, cut in zip(books, cuts, strict=True))
    return "\n\n".join(text[:cut] for text, cut in zip(books, cuts, strict=True)), kept_aside[:MOST_SCORED]


def inkstone(*words: str) -> dict[str, Any]:
    """What a command answers as JSON. It must succeed."""
    command = [sys.executable, "-m", "inkstone", *words, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout)


def bits(run: Path, text: Path) -> float:
    """Bits per byte of a run on a file."""
    return inkstone("eval", str(run), str(text), "--no-yardsticks")["bits_per_byte"]


def rows_of(pair: str, folder: Path, options: argparse.Namespace) -> list[list[Any]]:
    """The models of one pair, each a row."""
    mirror, (old_name, new_name) = Path(os.environ["INKSTONE_DATA"]), PAIRS[pair]
    files = {}
    for side, name in (("old", old_name), ("new", new_name)):
        for part, text in zip(("train", "held-out"), parts(mirror, name), strict=True):
            files[side, part] = folder / f"{side}-{part}.txt"
            files[side, part].write_text(text, encoding="utf-8", newline="")
    new, old_kept, new_kept = str(files["new", "train"]), files["old", "held-out"], files["new", "held-out"]
    threads = ["--set", f"train.threads={options.threads}"] if options.threads else []
    base = folder / "base"
    made = inkstone(
        "train", str(files["old", "train"]), "--held-out", str(old_kept), "--minutes", str(options.base_minutes), "--out", str(base),
        *threads,
    )  # fmt: skip
    before = bits(base, new_kept), bits(base, old_kept)
    rows: list[list[Any]] = [
        [pair, "base", options.base_minutes, before[0], None, before[1], None, None, made["seconds"]]
    ]
    ways = [(f"replay {share:g}", [f"task.replay={share}"]) for share in options.replay] + [("from the start", None)]
    for name, settings in ways:
        out = folder / name.replace(" ", "-")
        words = ["--minutes", str(options.minutes), "--out", str(out), *threads]
        if settings is None:
            made = inkstone("train", new, "--held-out", str(new_kept), *words)
        else:
            given = [word for setting in settings for word in ("--set", setting)]
            made = inkstone(
                "tune", "language-modelling", new, "--dev", str(new_kept), "--from", str(base), *words, *given
            )
        after = bits(out, new_kept), bits(out, old_kept)
        lost = None if settings is None else 100 * (after[1] / before[1] - 1)
        start = (None, None) if settings is None else before
        rows.append([pair, name, options.minutes, start[0], after[0], start[1], after[1], lost, made["seconds"]])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="of each adapted model, and of the one from the start"
    )
    parser.add_argument("--base-minutes", type=float, default=5.0)
    parser.add_argument("--replay", nargs="+", type=float, default=[0.5, 0.2, 0.0])
    parser.add_argument("--threads", type=int, help="of every run; default all cores")
    parser.add_argument("--out", default=str(HERE / "results" / "adaptation.json"))
    options = parser.parse_args()
    rows = []
    for pair in options.pairs:
        with tempfile.TemporaryDirectory() as scratch:
            rows += rows_of(pair, Path(scratch), options)
    write_result(
        options.out,
        question="What does a model gain on new text and lose on old text, with and without replay of old text, against one from "
        "the start in the same minutes?",
        columns=COLUMNS,
        rows=rows,
        notes=[
            "Bits per byte by `inkstone eval` on text that no model learned from: WikiText-2's validation part, every twentieth "
            "article of zhwiki, the last twentieth of each novel (the first 400,000 characters of each).",
            "The base is trained on the old text alone; the model from the start on the new text alone. Minutes are wall clock for "
            "everything, scoring and report included.",
        ],
    )


if __name__ == "__main__":
    main()
