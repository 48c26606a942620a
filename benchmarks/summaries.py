"""How well is summarising learned from pairs alone, beside sentences taken as they stand? Titles of CSL, summaries of SciTLDR.

    INKSTONE_DATA=FOLDER python benchmarks/summaries.py --folder WORK --minutes 15 [--sets csl scitldr] [--seeds 3]

Each set is learned from several times, with other random draws; its test part is scored once by each. SciTLDR has its own parts, with
several summaries of each paper of dev and test. Of CSL's titles the mirror lacks the training part, so that its dev part is learned
from, every tenth row kept aside. Rows lie in WORK as they are made.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inkstone.files import write_text
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import figures_of
from inkstone.tasks.summarize import EXTRACTORS, ROUGE, Summarize
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.written import Pair
from inkstone.text.word_cutting import joined
from task_sets import unpacked
from tuned_sets import options_of, said, write_table

RECIPE = Path(__file__).parent.parent / "examples" / "summarize.toml"
COLUMNS = [
    "data", "summary", "seeds", *ROUGE, "ROUGE-L, lowest", "ROUGE-L, highest", *(f"{kind}, 95 % interval" for kind in ROUGE), "pairs",
    "times read", "seconds of a run", "summaries/s",
]  # fmt: skip
EVERY = 10  # pairs of CSL, of which one is kept aside
Files = dict[str, Path]


def scitldr(mirror: Path, folder: Path) -> Files:
    """The sentences of each abstract, and its summaries: one of a training example, several of others."""
    return {part: mirror / "summ-scitldr-a" / f"{part}.jsonl.xz" for part in ("train", "dev", "test")}


def csl(mirror: Path, folder: Path) -> Files:
    """Abstract and title."""
    rows = {part: _rows(mirror / "csl" / f"ts-{part}.tsv.xz") for part in ("dev", "test")}
    parts = {
        "train": [row for number, row in enumerate(rows["dev"]) if number % EVERY],
        "dev": rows["dev"][::EVERY],
        "test": rows["test"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for part, pairs in parts.items():
        records = [{"abstract": abstract, "title": title} for abstract, title in pairs]
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        write_text(folder / f"{part}.jsonl", "".join(lines))
    return {part: folder / f"{part}.jsonl" for part in parts}


def _rows(path: Path) -> list[tuple[str, str]]:
    return [(cells[1], cells[2]) for line in unpacked(path).split("\n") if len(cells := line.split("\t")) == 3]


SETS: dict[
    str, tuple[str, Callable[[Path, Path], Files], list[str]]
] = {  # name in the table, who writes the files, settings
    "csl": ("CSL titles", csl, []),
    "scitldr": ("SciTLDR", scitldr, []),
}


def tuned(words: list[Any], seeds: int, work: Path) -> list[dict[str, Any]]:
    """Folder and figures of the test part of each run."""
    if seeds > 1:
        return said("tune", *words, "--seeds", seeds, "--out", work)["rows"]
    outcome = said("tune", *words, "--out", work)
    return [{"folder": outcome["folder"], "figures": outcome["figures"]["test"]}]


def examples_of(task: Summarize, file: Path) -> list[Pair]:
    """The pairs of a file."""
    return task.read([str(file)], Understanding("test", []))


def extracted(name: str, train: Sequence[Pair], test: Sequence[Pair]) -> tuple[int, dict[str, Any]]:
    """Figures on `test` of so many sentences, one to three, as `train` is best met with by this way of taking them."""
    task = Summarize()

    def answers(pairs: Sequence[Pair], size: int) -> list[dict[str, str]]:
        return [{"summary": joined(EXTRACTORS[name](pair.source, size))[0]} for pair in pairs]

    size = max((1, 2, 3), key=lambda size: task.measures(train, answers(train, size))[task.score].value)
    return size, figures_of(task.measures(test, answers(test, size)), seed=0)


def rows_of(name: str, mirror: Path, folder: Path, options: argparse.Namespace) -> list[list[Any]]:
    """The tuned model of a set, and beside it what its network writes by itself, and sentences of the text."""
    title, write, settings = SETS[name]
    files = write(mirror, folder / name / "data")
    named = [word for part in ("dev", "test") for word in (f"--{part}", files[part])]
    chosen = [word for setting in [*settings, *options.set] for word in ("--set", setting)]
    words = ["summarize", files["train"], *named, "--recipe", RECIPE, *chosen, "--minutes", options.minutes]
    runs = tuned(words, options.seeds, folder / name / "runs")
    outcomes = [json.loads((Path(run["folder"]) / "facts.json").read_text(encoding="utf-8"))["outcome"] for run in runs]
    predictor = Predictor.load(runs[0]["folder"])
    task: Any = predictor.task
    train, test = (examples_of(task, files[part]) for part in ("train", "test"))
    begin = time.perf_counter()
    outputs = predictor.outputs(test)
    fast = len(test) / (time.perf_counter() - begin)
    alone = dataclasses.replace(task, sure=0.0)
    written = alone.measures(test, [alone.answer(*each) for each in zip(test, outputs, strict=True)])
    figures = [run["figures"] for run in runs]
    means = [statistics.mean(100 * own[kind]["value"] for own in figures) for kind in ROUGE]
    spread = [100 * own["ROUGE-L"]["value"] for own in figures]
    costs = [statistics.mean(outcome[cost] for outcome in outcomes) for cost in ("epochs", "seconds")]
    extent = (min(spread), max(spread))
    found: list[list[Any]] = [
        [title, "learned", len(runs), *means, *extent, *intervals(figures[0]), len(train), *costs, fast]
    ]
    others = [("what its network writes", figures_of(written, seed=0))]
    for way in EXTRACTORS:
        size, own = extracted(way, train, test)
        others.append((f"{way}, {size} sentence{'s' * (size > 1)}", own))
    for told, own in others:
        values = [100 * own[kind]["value"] for kind in ROUGE]
        found.append([title, told, None, *values, None, None, *intervals(own), None, None, None, None])
    return found


def intervals(figures: dict[str, Any]) -> list[str]:
    """The bootstrap interval of each kind of ROUGE."""
    return [f"{100 * figures[kind]['low']:.1f} – {100 * figures[kind]['high']:.1f}" for kind in ROUGE]


def main() -> None:
    write_table(
        options_of(__doc__ or "", SETS, "summaries", minutes=15),
        SETS,
        rows_of,
        question="How well is summarising learned from pairs alone, beside sentences taken as they stand?",
        columns=COLUMNS,
        notes=NOTES,
    )


NOTES = [
    """F1 in %, test parts, each scored once by every run, with the settings of examples/summarize.toml; of the several summaries of a
    paper the best counts. English words are not stemmed; Chinese is counted by characters. The interval is that of the first run.""",
    """Learned: an excerpt of the text, where the network is not sure enough of what it wrote (task.blend). What its network writes: the
    first run without excerpts.""",
    """Sentences taken as they stand: the first ones, or the most central ones by TextRank, one to three, as the training part is best
    met with.""",
    """CSL: titles of papers from their abstracts. The mirror lacks the training part, so that the model learned from nine tenths of the
    dev part; figures published for the whole set are not comparable.""",
    """Published for abstracts of SciTLDR (Cachola et al. 2020), ROUGE-1, 2 and L: PACSUM 19.3, 4.0 and 15.1, without labels; BART, which
    was pre-trained, 43.3, 20.8 and 35.0.""",
]

if __name__ == "__main__":
    main()
