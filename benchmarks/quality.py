"""How good is a model after so many minutes? Ours and the transformers Trainer on the same text and held-out text.

    INKSTONE_DATA=... python benchmarks/quality.py --minutes 2 5 10 --peer-minutes 10

Everything counts against the minutes: start-up, reading, the tokenizer, training, and for ours also its own scoring and
report. Both folders are then scored by the same `inkstone eval` on the same held-out text, from which neither learns or
chooses anything (ours scores itself on it while it trains, as it always does, and reports that score alone).
Tiny Shakespeare: the last tenth. WikiText-2: its validation part (its test part is left alone). Chinese novels: the
last twentieth of each.
"""

import argparse
import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import write_result

HERE = Path(__file__).parent
SETS = ("tinyshakespeare", "wikitext-2", "chinese-novels")


def text_of(mirror: Path, name: str) -> str:
    """One unpacked file of the mirror."""
    return lzma.open(mirror / f"{name}.xz", "rt", encoding="utf-8", newline="").read()


def parts(mirror: Path, name: str) -> tuple[str, str]:
    """Text to learn from and text to be scored on."""
    if name == "tinyshakespeare":
        text = text_of(mirror, "tinyshakespeare/input.txt")
        cut = len(text) * 9 // 10
        return text[:cut], text[cut:]
    if name == "wikitext-2":
        return text_of(mirror, "wikitext-2/train.txt"), text_of(mirror, "wikitext-2/valid.txt")[:400_000]
    learned, kept = [], []
    for path in sorted((mirror / "chinese-novels").glob("*.txt.xz")):
        text = text_of(mirror, f"chinese-novels/{path.stem}")
        cut = len(text) * 19 // 20
        learned.append(text[:cut])
        kept.append(text[cut:])
    return "\n".join(learned), "\n".join(kept)


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Wall seconds of a command that must succeed."""
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--minutes", nargs="*", type=float, default=[2, 5, 10])
    parser.add_argument("--peer-minutes", nargs="*", type=float, default=[10])
    parser.add_argument("--settings", nargs="*", default=["defaults", "best"])
    parser.add_argument("--threads", type=int, help="of every run; default all cores")
    parser.add_argument("--out", default=str(HERE / "results" / "quality.json"))
    options = parser.parse_args()
    mirror = Path(os.environ["INKSTONE_DATA"])
    environment = dict(os.environ)
    if options.threads:
        environment["OMP_NUM_THREADS"] = str(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in options.sets:
            learned, kept = parts(mirror, name)
            train, held_out = folder / f"{name}.txt", folder / f"{name}-held-out.txt"
            train.write_text(learned, encoding="utf-8", newline="")
            held_out.write_text(kept, encoding="utf-8", newline="")
            jobs = [("inkstone", minutes) for minutes in options.minutes]
            jobs += [
                (f"Trainer, {setting}", minutes) for setting in options.settings for minutes in options.peer_minutes
            ]
            for who, minutes in jobs:
                out = folder / f"{name}-{who.replace(', ', '-')}-{minutes:g}"
                if who == "inkstone":
                    threads = ["--set", f"train.threads={options.threads}"] if options.threads else []
                    command = [sys.executable, "-m", "inkstone", "train", str(train), "--minutes", str(minutes)]
                    command += ["--held-out", str(held_out), "--out", str(out), *threads]
                else:
                    command = [sys.executable, str(HERE / "peers" / "trainer.py"), str(train), str(out)]
                    command += ["--minutes", str(minutes), "--setting", who.split(", ")[1]]
                    command += ["--threads", str(options.threads)] if options.threads else []
                seconds = timed(command, environment)
                scored = subprocess.run(
                    [sys.executable, "-m", "inkstone", "eval", str(out), str(held_out), "--json"],
                    check=True, capture_output=True, text=True, env=environment,
                )  # fmt: skip
                figures = json.loads(scored.stdout)
                row = [name, who, minutes, round(seconds, 1), round(figures["bits_per_byte"], 4)]
                row += [f"{figures['low']:.3f} to {figures['high']:.3f}"]
                rows.append(row)
                print(*row, sep="\t", flush=True)
                write_result(
                    Path(options.out),
                    question="How many bits per byte of held-out text after so many minutes of wall clock?",
                    columns=["text", "trained by", "minutes given", "seconds taken", "bits per byte", "95 % interval"],
                    rows=rows,
                    notes=[f"threads of every run: {options.threads or 'all cores'}", __doc__.split("\n\n")[2]],
                )


if __name__ == "__main__":
    main()
