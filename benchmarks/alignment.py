"""How well and how fast are words aligned by IBM Models 1 and 2, against eflomal where it is installed?

Error rates: the Parallel UD treebank, English to Chinese, links of content words by people (data set align-pud-en-zh).
Learned from its sentences and the Tatoeba pairs (mt-tatoeba-eng-cmn), the links by people unseen. Speed: the
29,000 pairs of Multi30k, English to German, one direction, five iterations of Model 1.

    INKSTONE_DATA=FOLDER python benchmarks/alignment.py
"""

import argparse
import json
import lzma
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from inkstone.models.alignment import bitext, fit
from inkstone.models.links import SYMMETRISED, Links, read_pharaoh, score, symmetrise
from inkstone.progress import LiveLine
from inkstone.tasks.word_alignment import both_directions
from inkstone.text.words import words
from results import FOLDER, write_result

Pairs = list[tuple[list[str], list[str]]]


def lines(path: Path) -> list[str]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def conllu(path: Path) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for line in lines(path):
        fields = line.split("\t")
        if fields[0].isdecimal():
            sentences[-1].append(fields[1].lower())
        elif not line:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def parallel_ud(data: Path) -> tuple[Pairs, list[Links], list[set[int]]]:
    """The pairs, the links by people, and the source words that these looked at."""
    folder = data / "align-pud-en-zh"
    pairs = list(zip(conllu(folder / "en.conllu.xz"), conllu(folder / "target.conllu.xz"), strict=True))
    gold, looked_at = [], []
    for sentence in json.loads("\n".join(lines(folder / "alignment.json.xz"))):
        looked_at.append({int(word) - 1 for word in sentence if word.isdecimal()})
        gold.append(
            {
                (int(word) - 1, int(other) - 1)
                for word, others in sentence.items()
                if word.isdecimal()
                for other in others
                if other.isdecimal()
            }
        )
    return pairs, gold, looked_at


def tatoeba(data: Path) -> Pairs:
    found = []
    for line in lines(data / "mt-tatoeba-eng-cmn" / "cmn.txt.xz"):
        english, chinese = line.split("\t")[:2]
        found.append(([word.lower() for word in words(english)], words(chinese)))
    return found


def eflomal(pairs: Pairs, model: int) -> tuple[list[Links], list[Links]] | None:
    try:
        from eflomal import Aligner
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, name) for name in ("source", "target", "forward", "backward")]
        for side, name in enumerate(names[:2]):
            name.write_text("".join(" ".join(pair[side]) + "\n" for pair in pairs), encoding="utf-8")
        with open(names[0], encoding="utf-8") as source, open(names[1], encoding="utf-8") as target:
            Aligner(model=model).align(source, target, links_filename_fwd=names[2], links_filename_rev=names[3])
        forward, backward = (read_pharaoh(name.read_text().splitlines())[0] for name in names[2:])
    return forward, backward


def cpu_seconds() -> float:
    """Of this process and its ended children: the machine is shared, and waiting is no work."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def seconds(work: Callable[[], object], repeats: int) -> float:
    found = []
    for _ in range(repeats):
        begin = cpu_seconds()
        work()
        found.append(cpu_seconds() - begin)
    return median(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, help="use only so many pairs of each set: a smoke run")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", default=FOLDER / "alignment.json")
    options = parser.parse_args()
    data = Path(os.environ["INKSTONE_DATA"])
    pud, gold, looked_at = parallel_ud(data)
    pud, gold, looked_at = (part[: options.pairs] for part in (pud, gold, looked_at))
    pairs = pud + tatoeba(data)[: options.pairs]
    quiet = LiveLine(quiet=True)
    rows: list[list[object]] = []

    def judge(who: str, forward: list[Links], backward: list[Links], took: float) -> None:
        for how in SYMMETRISED:
            links = symmetrise(forward[: len(pud)], backward[: len(pud)], how)
            links = [{link for link in own if link[0] in seen} for own, seen in zip(links, looked_at, strict=True)]
            found = score(links, gold)
            figures = [100 * found.error_rate, 100 * found.precision, 100 * found.recall]
            rows.append([who, how, *figures, took])

    for model in (1, 2):
        begin = cpu_seconds()
        forward, backward = both_directions(pairs, model, 5, quiet)
        judge(f"inkstone, IBM Model {model}", forward.links, backward.links, cpu_seconds() - begin)
    for model, name in ((1, "Model 1"), (3, "with HMM and fertility")):
        begin = cpu_seconds()
        theirs = eflomal(pairs, model)
        if theirs:
            judge(f"eflomal, {name}", *theirs, cpu_seconds() - begin)
    folder = data / "mt-multi30k-en-de"
    sides = ([line.lower().split() for line in lines(folder / f"train.{code}.xz")] for code in ("en", "de"))
    multi = list(zip(*sides, strict=True))[: options.pairs]
    ours = seconds(lambda: fit(bitext(multi), 1, 5), options.repeats)
    notes = [
        f"error rate, precision and recall in %, {len(pud):,} sentence pairs of the Parallel UD treebank, {len(pairs):,} pairs in "
        "all to learn from; all links by people are sure; only links of source words that people looked at count "
        "(content words)",
        "CPU seconds: both directions, learning and linking, five iterations a model",
        f"{len(multi):,} pairs of Multi30k, five iterations of Model 1 in one direction: {ours:.1f} CPU seconds",
    ]
    write_result(
        options.out,
        question="How well are English words aligned with Chinese ones?",
        columns=["program and model", "both directions", "error rate", "precision", "recall", "CPU seconds"],
        rows=rows,
        notes=notes,
    )


if __name__ == "__main__":
    main()
