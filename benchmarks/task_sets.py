"""The labelled sets of `tasks.py`: files of the mirror as train, dev and test parts that `inkstone tune` reads.

Most are read as they lie in the mirror; what stands in a form of its own is written as JSON lines or columns. A set without
a dev part is tuned on a tenth of its training part, which `inkstone tune` keeps aside.
"""

import csv
import io
import json
import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkstone.text.conllu import read_conllu

Files = dict[str, list[Path]]  # by part: "train", "dev", "test", and further test parts by other names
Writer = Callable[[Path, Path], Files]  # of the mirror and a folder for what is written


@dataclass(frozen=True)
class TaskSet:
    """A labelled set and how it is tuned on."""

    task: str
    files: Writer
    minutes: float
    settings: tuple[str, ...] = ()
    recipe: str | None = None  # of examples/
    vectors: str | None = None  # the word vectors of ours that it begins at: "en", "zh", or "characters" of Chinese
    encoder: tuple[str, float] | None = (
        None  # the language of our encoder that is tuned, and its minutes of pre-training
    )
    start: "tuple[str, TaskSet] | None" = None  # a name, and what is learned under it, once, for the body to begin at
    also: tuple[str, ...] = ()  # further scores that are shown
    peer: str | None = None  # see `task_peers.py`
    goal: float | None = None  # in %


def unpacked(path: Path) -> str:
    """The text of a file of the mirror."""
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        return file.read()


def _written(folder: Path, parts: dict[str, Iterable[tuple[str, str]]]) -> Files:
    """Texts and labels as JSON lines."""
    found: Files = {}
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        path = folder / f"{part}.jsonl"
        lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in rows]
        path.write_text("".join(lines), encoding="utf-8")
        found[part] = [path]
    return found


def sst2(mirror: Path, folder: Path) -> Files:
    """Sentence, tab, 0 or 1."""
    names = {"0": "negative", "1": "positive"}
    parts = {}
    for part in ("train", "dev", "test"):
        rows = [line.rsplit("\t", 1) for line in unpacked(mirror / "sentiment-sst2" / f"{part}.tsv.xz").splitlines()]
        parts[part] = [(text, names[label]) for text, label in rows]
    return _written(folder, parts)


def chnsenticorp(mirror: Path, folder: Path) -> Files:
    """A line of heads, then 0 or 1, tab, text."""
    names = {"0": "negative", "1": "positive"}
    parts = {}
    for part in ("train", "dev", "test"):
        lines = unpacked(mirror / "sentiment-chnsenticorp" / f"{part}.tsv.xz").splitlines()[1:]
        rows = [line.split("\t", 1) for line in lines]
        parts[part] = [(text, names[label]) for label, text in rows]
    return _written(folder, parts)


def clinc150(mirror: Path, folder: Path) -> Files:
    """The 150 intents; queries out of scope are left out, as in the published in-scope accuracy."""
    told = json.loads(unpacked(mirror / "intent-clinc150" / "data_full.json.xz"))
    return _written(folder, {part: told["val" if part == "dev" else part] for part in ("train", "dev", "test")})


def cold(mirror: Path, folder: Path) -> Files:
    """Offensive or not; of the training part every third row is in the mirror."""
    parts = {}
    for part, name in (("train", "train-every3"), ("test", "test")):
        rows = csv.DictReader(io.StringIO(unpacked(mirror / "toxic-zh-cold" / f"{name}.csv.xz")))
        parts[part] = [(row["TEXT"], "offensive" if row["label"] == "1" else "safe") for row in rows]
    return _written(folder, parts)


def davidson(mirror: Path, folder: Path) -> Files:
    """Hate speech, offensive language, neither; one file, of which a random tenth is dev and another one test."""
    names = {"0": "hate speech", "1": "offensive language", "2": "neither"}
    rows = csv.DictReader(io.StringIO(unpacked(mirror / "toxic-en-davidson" / "labeled_data-every3.csv.xz")))
    found = [(row["tweet"], names[row["class"]]) for row in rows]
    order = np.random.default_rng(0).permutation(len(found))
    tenth = len(found) // 10
    cuts = {"test": order[:tenth], "dev": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    return _written(folder, {part: [found[row] for row in np.sort(cuts[part])] for part in ("train", "dev", "test")})


def csl(mirror: Path, folder: Path) -> Files:
    """The category of a paper by its title."""
    parts = {}
    for part in ("train", "dev", "test"):
        lines = unpacked(mirror / "csl" / f"cls_ctg-{part}.tsv.xz").splitlines()
        parts[part] = [tuple(line.split("\t")[1:3]) for line in lines]
    return _written(folder, parts)


def as_they_lie(folder: str, train: str, dev: str | None, test: str) -> Writer:
    """Files that are read where they lie."""

    def files(mirror: Path, scratch: Path) -> Files:
        names = {"train": train, "test": test} | ({} if dev is None else {"dev": dev})
        return {part: [mirror / folder / name] for part, name in names.items()}

    return files


def gsdsimp_words(mirror: Path, part: str) -> list[list[str]]:
    """The words of GSDSimp; those of the training part, which the mirror lacks, from its layer of names."""
    if part != "train":
        return [s.forms for s in read_conllu(mirror / "ud-zh-gsdsimp" / f"zh_gsdsimp-ud-{part}.conllu.xz")]
    blocks = unpacked(mirror / "ner-uner-zh-gsdsimp" / "zh_gsdsimp-ud-train.iob2.xz").split("\n\n")
    return [
        [line.split("\t")[1] for line in block.split("\n") if line and line[0] != "#"]
        for block in blocks
        if block.strip()
    ]


def gsdsimp_upos(mirror: Path, folder: Path) -> Files:
    """Simplified words with the tags of release 1.4, where that has the same words; the test part with today's tags as well."""
    folder.mkdir(parents=True, exist_ok=True)
    found: Files = {}
    for part in ("train", "dev", "test"):
        old = [s.column("upos") for s in read_conllu(mirror / "ud-zh-v1.4" / f"zh-ud-{part}.conllu.xz")]
        pairs = zip(gsdsimp_words(mirror, part), old, strict=True)
        blocks = ["".join(f"{w}\t{t}\n" for w, t in zip(ws, ts, strict=True)) for ws, ts in pairs if len(ws) == len(ts)]
        found[part] = [folder / f"{part}.conll"]
        found[part][0].write_text("\n".join(blocks), encoding="utf-8")
    return found | {"today's tags": [mirror / "ud-zh-gsdsimp" / "zh_gsdsimp-ud-test.conllu.xz"]}


def gsdsimp_segments(mirror: Path, folder: Path) -> Files:
    """A sentence a line, a blank between two words."""
    folder.mkdir(parents=True, exist_ok=True)
    found: Files = {}
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.txt"
        path.write_text("".join(" ".join(words) + "\n" for words in gsdsimp_words(mirror, part)), encoding="utf-8")
        found[part] = [path]
    return found


def both(first: tuple[str, Writer], second: tuple[str, Writer]) -> Writer:
    """The training and dev parts of two sets together; their test parts stay apart, each with its name."""

    def files(mirror: Path, folder: Path) -> Files:
        own = {name: writer(mirror, folder / name) for name, writer in (first, second)}
        together = {part: [path for each in own.values() for path in each[part]] for part in ("train", "dev")}
        return together | {f"test of {name}": each["test"] for name, each in own.items()}

    return files
