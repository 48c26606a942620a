"""How well are spoken digits heard by a model that learned from ten minutes of speech at most, and does a language model help?

    INKSTONE_DATA=FOLDER python benchmarks/speech.py --folder WORK [--seeds 3] [--minutes 3] [--sets digits unknown connected]

digits      takes 5 to 14 of the Free Spoken Digit Dataset to learn from, of which take 5 is dev; the official test part, takes 0 to 4.
            With and without a language model that knows the ten words
unknown     a speaker left out of the training part; takes 5 to 14 of that speaker are the test part. One speaker after the other: jackson and
            theo, and the four besides on whom, left out one after the other, the settings were chosen
connected   dates, spoken a digit at a time: clips of one speaker joined. Learned from random digits, joined from the training takes,
            besides the digits by themselves; dates of take 5 are dev, dates of takes 0 to 4 the test part. With and without an
            n-gram model of words that has read other dates

Rows lie in WORK as they are made, and those that lie there are taken as they are.
"""

import argparse
import datetime
import io
import json
import lzma
import shutil
import statistics
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from inkstone.files import write_json
from inkstone.tasks.fuse_language_model import fuse_language_model
from inkstone.tasks.scoring import eval as score
from mirror import the_mirror
from results import FOLDER, write_result
from tuned_sets import said as said_by

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPEAKERS = ("jackson", "theo", "george", "lucas", "nicolas", "yweweler")  # who is left out
CHOSEN_ON = SPEAKERS[2:]  # on whom the settings were chosen
DEV_TAKE, FIRST_TRAINING_TAKE = 5, 6
RATE = 8000
GAPS = (0.0, 0.12)  # seconds of silence between clips that are joined
JOINED = {"train": 300, "dev": 60, "test": 150}
LINES = 20_000  # dates that the language model reads
SETTINGS = ("task.rows=16", "task.epochs=100", "task.patience=30", "tokenizer.kind=word")
# Of a word by itself little may be blanked. Dev tells little of speakers who are not heard in it: the last weights are kept, of a run that is
# not long, since what is learned late is how the few speakers say it.
SINGLE = ("model.width=64", "task.spec_augment=false", "task.epochs=11", "train.evaluate_steps=1000000")
COLUMNS = ["data", "score", "seeds", "mean, %", "lowest", "highest", "goal, %", "recordings", "seconds of a run"]
SETS = ("digits", "unknown", "connected")

Clip = tuple[str, str, int]  # digit, speaker, take


def clips(mirror: Path, folder: Path) -> dict[Clip, Path]:
    """The recordings of both parts, unpacked once."""
    found: dict[Clip, Path] = {}
    for part in ("train-idx5-14", "test-idx0-4"):
        with (
            lzma.open(mirror / "speech-fsdd" / f"{part}.tar.xz") as packed,
            tarfile.open(fileobj=io.BytesIO(packed.read())) as tar,
        ):
            for member in tar.getmembers():
                name = Path(member.name).name
                if not name.endswith(".wav"):
                    continue
                digit, speaker, take = name.removesuffix(".wav").split("_")
                path = folder / "clips" / name
                content = tar.extractfile(member)
                if not path.exists() and content is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())
                found[DIGITS[int(digit)], speaker, int(take)] = path
    return found


def manifest(path: Path, rows: Iterable[tuple[Path, str, str]]) -> Path:
    """Recording, text and speaker as a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{audio.resolve()}\t{text}\t{speaker}\n" for audio, text, speaker in sorted(rows)]
    path.write_text("audio\ttext\tspeaker\n" + "".join(lines), encoding="utf-8")
    return path


def parts(found: dict[Clip, Path], folder: Path, left_out: str | None = None) -> dict[str, Path]:
    """Digits by themselves; with a speaker left out, who is the test part."""
    rows: dict[str, list[tuple[Path, str, str]]] = defaultdict(list)
    for (digit, speaker, take), path in found.items():
        if left_out is None:
            part = "test" if take < DEV_TAKE else "dev" if take == DEV_TAKE else "train"
        elif take < DEV_TAKE:
            continue
        else:
            part = "test" if speaker == left_out else "dev" if take == DEV_TAKE else "train"
        rows[part].append((path, digit, speaker))
    return {part: manifest(folder / f"{part}.tsv", own) for part, own in rows.items()}


def date(draw: np.random.Generator, kept: bool = False) -> list[str]:
    """A day of the years 1950 to 2029, a digit at a time; one in five is `kept` for what is spoken, the others are read."""
    while True:
        day = datetime.date(1950, 1, 1) + datetime.timedelta(days=int(draw.integers(0, 29_219)))
        if (day.toordinal() % 5 == 0) == kept:
            return [DIGITS[int(digit)] for digit in day.strftime("%Y%m%d")]


def any_digits(draw: np.random.Generator) -> list[str]:
    """Two to eight digits at random."""
    return list(draw.choice(DIGITS, draw.integers(2, 9)))


def joined(found: dict[Clip, Path], folder: Path, part: str, takes: Sequence[int], seed: int) -> Path:
    """Clips of one speaker joined to what is said in a row."""
    draw, rows = np.random.default_rng(seed), []
    speakers = sorted({speaker for _, speaker, _ in found})
    for number in range(JOINED[part]):
        said, speaker = any_digits(draw) if part == "train" else date(draw, kept=True), str(draw.choice(speakers))
        pieces = []
        for digit in said:
            samples, _ = soundfile.read(found[digit, speaker, int(draw.choice(takes))], dtype="float32")
            pieces += [samples, np.zeros(int(draw.uniform(*GAPS) * RATE), dtype=np.float32)]
        path = folder / part / f"{number:03}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate(pieces), RATE)
        rows.append((path, " ".join(said), speaker))
    return manifest(folder / f"{part}.tsv", rows)


def tuned(
    files: dict[str, Path], train: Sequence[Path], out: Path, minutes: float, seed: int, chosen: Sequence[str] = ()
) -> dict[str, Any]:
    """The outcome of a run, which is made once."""
    kept = out.with_suffix(".json")
    if not kept.exists():
        how = ["--dev", files["dev"], "--test", files["test"], "--minutes", minutes, "--out", out, "--fresh"]
        settings = [*SETTINGS, f"train.seed={seed}", "train.threads=1", *chosen]
        outcome = said_by("tune", "transcribe", *train, *how, *[word for each in settings for word in ("--set", each)])
        write_json(kept, outcome)
    return json.loads(kept.read_text(encoding="utf-8"))


def language(folder: Path, lines: Callable[[np.random.Generator], list[str]], order: int) -> Path:
    """An n-gram model of words, of lines that are drawn."""
    if not (folder / "language" / "model.safetensors").exists():
        draw = np.random.default_rng(99)
        text = folder / "lines.txt"
        text.write_text("".join(" ".join(lines(draw)) + "\n" for _ in range(LINES)), encoding="utf-8")
        settings = ["text.clean=false", "tokenizer.kind=word", f"model.order={order}"]
        how = [word for each in settings for word in ("--set", each)]
        said_by("train", text, "--family", "ngram", "--out", folder / "language", "--fresh", *how)
    return folder / "language"


def fused(run: Path, model: Path, files: dict[str, Path], outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a run that a language model was given, its weights chosen on dev."""
    kept = run.with_name(f"{run.name}-fused.json")
    if not kept.exists():
        copy = run.with_name(f"{run.name}-fused")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        chosen = fuse_language_model(copy, model, [files["dev"]], device="cpu")
        figures = score(copy, [files["test"]], device="cpu")["figures"]
        write_json(kept, {**outcome, "figures": {"test": figures}, "chosen": chosen})
    return json.loads(kept.read_text(encoding="utf-8"))


def row(name: str, what: str, outcomes: Sequence[dict[str, Any]], key: str, goal: float | None) -> list[Any]:
    """A row of the table, of a figure on the test part over the seeds."""
    values = [100 * outcome["figures"]["test"][key]["value"] for outcome in outcomes]
    seconds = statistics.mean(outcome["seconds"] for outcome in outcomes)
    count = outcomes[0]["examples"]["test"]
    return [name, what, len(values), statistics.mean(values), min(values), max(values), goal, count, seconds]


def connected(
    found: dict[Clip, Path], folder: Path, minutes: float, seeds: int, chosen: Sequence[str] = ()
) -> list[list[Any]]:
    """WER of dates without and with the language model."""
    single = parts(found, folder / "single")
    files = {"train": joined(found, folder, "train", range(FIRST_TRAINING_TAKE, 15), 1)}
    files |= {
        "dev": joined(found, folder, "dev", [DEV_TAKE], 2),
        "test": joined(found, folder, "test", range(DEV_TAKE), 3),
    }
    alone, together = [], []
    for seed in range(seeds):
        run = folder / f"run-{seed}"
        alone.append(tuned(files, [files["train"], single["train"]], run, minutes, seed, chosen))
        together.append(fused(run, language(folder, date, 9), files, alone[-1]))
    return [
        row("connected digits", "WER", alone, "WER", None),
        row("connected digits, with a language model of dates", "WER", together, "WER", None),
    ]


def main() -> None:
    """Make the rows that are missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--speakers", nargs="+", choices=SPEAKERS, default=list(SPEAKERS), help="of the set unknown")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="settings beside the benchmark's own"
    )
    parser.add_argument(
        "--note", action="append", default=[], help="one more line under the table, such as the load of the machine"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / "speech.json")
    options = parser.parse_args()
    found = clips(the_mirror(), options.folder)
    rows: list[list[Any]] = []
    for name in options.sets:
        work = options.folder / name
        if name == "connected":
            rows += connected(found, work, options.minutes, options.seeds, options.set)
            continue
        for speaker in (None,) if name == "digits" else options.speakers:
            own = work / (speaker or "all")
            files = parts(found, own, speaker)
            outcomes = [
                tuned(files, [files["train"]], own / f"run-{s}", options.minutes, s, [*SINGLE, *options.set])
                for s in range(options.seeds)
            ]
            told = "digits, official test part" if speaker is None else f"digits of {speaker}, who was not heard before"
            told += ", but chosen on" * (speaker in CHOSEN_ON)
            rows.append(row(told, "right", outcomes, "all right", 98.0 if speaker is None else 90.0))
            if speaker is None:
                model = language(own, lambda draw: [str(draw.choice(DIGITS))], 2)
                runs = [own / f"run-{seed}" for seed in range(options.seeds)]
                helped = [fused(run, model, files, outcome) for run, outcome in zip(runs, outcomes, strict=True)]
                rows.append(row(f"{told}, with a language model of the words", "right", helped, "all right", None))
    write_result(
        options.out,
        question="How well are spoken digits heard after minutes of learning, and does a language model help?",
        columns=COLUMNS,
        rows=rows,
        notes=[
            "Free Spoken Digit Dataset, six speakers: 540 clips of takes 6 to 14 are learned from, take 5 is dev.",
            "Connected digits are dates, made of the clips of one speaker; the model learned from random digits, the language model, an "
            "n-gram model of words, from other dates. Its weights are chosen on dates of take 5.",
            "Settings were chosen on george, lucas, nicolas and yweweler, left out of learning in turn; jackson and theo are the test.",
            *options.note,
        ],
    )


if __name__ == "__main__":
    main()
