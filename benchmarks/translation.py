"""How well is translation learned from parallel text alone, on two cores? Multi30k en→de, Tatoeba en↔zh in one model.

    INKSTONE_DATA=FOLDER python benchmarks/translation.py --folder WORK --minutes 60 [--sets multi30k tatoeba] [--seeds 3]

Each set is learned from several times, with other random draws; its test part is scored once by each. Multi30k has its own parts:
the test part is that of 2016. Tatoeba has none: sentences that are the same or nearly the same, in either language, are one group,
and every twentieth group is the test part, every other twentieth the dev part. Rows lie in WORK as they are made.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.files import write_text
from inkstone.tasks.predict import Predictor
from inkstone.tasks.understanding import Understanding
from inkstone.text.leaks import duplicate_groups
from task_sets import unpacked
from tuned_sets import options_of, said, write_table

RECIPE = Path(__file__).parent.parent / "examples" / "translate.toml"
COLUMNS = [
    "data", "direction", "seeds", "BLEU", "lowest", "highest", "chrF", "translation memory, BLEU", "goal, BLEU", "pairs", "times read",
    "seconds of a run", "sentences/s",
]  # fmt: skip
EVERY = 20  # groups, of which one is the test part and one the dev part
Files = dict[str, list[str]]


def multi30k(mirror: Path, folder: Path) -> Files:
    """English first: it is the source."""
    stems = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
    home = mirror / "mt-multi30k-en-de"
    return {part: [str(home / f"{stem}.{code}.xz") for code in ("en", "de")] for part, stem in stems.items()}


def tatoeba(mirror: Path, folder: Path) -> Files:
    """Parts by groups of sentences."""
    packed = mirror / "mt-tatoeba-eng-cmn" / "cmn.txt.xz"
    rows = [line.split("\t")[:2] for line in unpacked(packed).split("\n") if line]
    group = groups_of(rows)
    place = {name: number for number, name in enumerate(dict.fromkeys(group.tolist()))}
    order = np.random.default_rng(0).permutation(len(place))
    part_of = {0: "test", EVERY // 2: "dev"}
    parts: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for row, name in zip(rows, group.tolist(), strict=True):
        parts[part_of.get(int(order[place[name]]) % EVERY, "train")].append("\t".join(row) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for part, lines in parts.items():
        write_text(folder / f"{part}.tsv", "".join(lines))
    return {part: [str(folder / f"{part}.tsv")] for part in parts}


def groups_of(rows: list[list[str]]) -> np.ndarray:
    """The group of each pair: those that have a sentence in common, in either language, the same or nearly, belong together."""
    group = np.arange(len(rows))

    def root(row: int) -> int:
        while group[row] != row:
            group[row] = group[group[row]]
            row = int(group[row])
        return row

    for side in (0, 1):
        for row, first in enumerate(duplicate_groups(row[side] for row in rows).tolist()):
            one, other = root(row), root(first)
            group[max(one, other)] = min(one, other)
    return np.array([root(row) for row in range(len(rows))])


SETS: dict[str, tuple[Any, list[str], dict[str, float]]] = {  # who writes the files, settings, goals by direction
    "multi30k": (multi30k, [], {"en-de": 36.0}),
    "tatoeba": (tatoeba, ["task.directions=both"], {}),
}


def tuned(words: list[Any], seeds: int, work: Path) -> list[dict[str, Any]]:
    """Folder, figures of the test part and of the yardstick on it, of each run."""
    if seeds > 1:
        return said("tune", *words, "--seeds", seeds, "--out", work)["rows"]
    outcome = said("tune", *words, "--out", work)
    yardstick = outcome["yardstick"]["figures"]["test"]
    return [{"folder": outcome["folder"], "figures": outcome["figures"]["test"], "yardstick": yardstick}]


def speed(run: str, files: list[str]) -> float:
    """Sentences that a run translates in a second."""
    predictor = Predictor.load(run)
    examples = predictor.task.read(files, Understanding("test", []))
    begin = time.perf_counter()
    predictor.answers(examples)
    return len(examples) / (time.perf_counter() - begin)


def rows_of(name: str, mirror: Path, folder: Path, options: argparse.Namespace) -> list[list[Any]]:
    """A row for each direction of a set."""
    write, settings, goals = SETS[name]
    files = write(mirror, folder / name / "data")
    named = [word for part in ("dev", "test") for file in files[part] for word in (f"--{part}", file)]
    chosen = [word for setting in [*settings, *options.set] for word in ("--set", setting)]
    words = ["translate", *files["train"], *named, "--recipe", RECIPE, *chosen, "--minutes", options.minutes]
    runs = tuned(words, options.seeds, folder / name / "runs")
    outcomes = [json.loads((Path(run["folder"]) / "facts.json").read_text(encoding="utf-8"))["outcome"] for run in runs]
    fast = speed(runs[0]["folder"], files["test"])
    figures = [run["figures"] for run in runs]
    ways = [key.removeprefix("BLEU") for key in figures[0] if key.startswith("BLEU ")] or [""]
    found = []
    for way in ways:
        bleu = [100 * own[f"BLEU{way}"]["value"] for own in figures]
        chrf = statistics.mean(100 * own[f"chrF{way}"]["value"] for own in figures)
        memory = 100 * runs[0]["yardstick"][f"BLEU{way}"]["value"]
        direction = way.strip() or "en-de"
        found.append([
            name, direction, len(runs), statistics.mean(bleu), min(bleu), max(bleu), chrf, memory, goals.get(direction),
            outcomes[0]["examples"]["train"] // len(ways), statistics.mean(each["epochs"] for each in outcomes),
            statistics.mean(each["seconds"] for each in outcomes), fast,
        ])  # fmt: skip
    return found


def main() -> None:
    write_table(
        options_of(__doc__ or "", SETS, "translation", minutes=60),
        SETS,
        rows_of,
        question="How well is translation learned from parallel text alone?",
        columns=COLUMNS,
        notes=NOTES,
    )


NOTES = [
    """Test parts, each scored once by every run, with the settings of examples/translate.toml; BLEU and chrF are those of sacreBLEU,
    cased, on text as it is written: 13a for German and English, zh for Chinese. The published 41.0 of a small Transformer on
    Multi30k (Wu et al. 2021) is of lower-cased, tokenised text.""",
    """Tatoeba: one model for both directions. No sentence of dev and test, in either language, stands in the training part, nor one
    nearly the same (text/leaks.py).""",
    """The translation memory gives the translation of the most similar source of the training part. Pairs are those of the training
    part that are kept, the licence of Multi30k's captions is not stated.""",
]

if __name__ == "__main__":
    main()
