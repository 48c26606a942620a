"""Two sets of texts with records, as JSON lines that `inkstone tune extract` reads.

    python benchmarks/extraction_set.py FOLDER

writes into FOLDER/ewt who does what to whom, when and where, of the root verb of a sentence (PropBank on English EWT, from the
mirror that INKSTONE_DATA names), and into FOLDER/orders made-up orders, with names that no two parts share but by chance.
"""

import json
import lzma
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

FIELDS = {
    "ARG0": "agent",
    "ARG1": "object",
    "ARG2": "other",
    "ARGM-TMP": "when",
    "ARGM-LOC": "where",
    "ARGM-NEG": "not",
}
LONGEST = 20  # words
SYLLABLES = ("ka", "lo", "mi", "tu", "re", "shi", "no", "pa")
ITEMS = ("brush", "stone", "paper")


def sentences(path: Path) -> Iterator[list[list[str]]]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for blank, lines in groupby((line.rstrip("\n") for line in file), key=lambda line: not line.strip()):
            rows = [line.split("\t") for line in lines if not line.startswith("#")]
            if not blank and rows:
                yield rows


def record_of(rows: list[list[str]]) -> dict[str, str] | None:
    predicates = [number for number, row in enumerate(rows) if row[7] != "_"]
    root = next((number for number in predicates if rows[number][5] == "0"), None)
    if root is None or len(rows) > LONGEST:
        return None
    column, role, found = 8 + predicates.index(root), None, {}
    for row in rows:
        mark = row[column]
        if mark.startswith("("):
            role = mark[1:].split("*")[0]
        if role in FIELDS:
            found[FIELDS[role]] = f"{found.get(FIELDS[role], '')} {row[1]}".strip()
        if mark.endswith(")"):
            role = None
    return {"action": rows[root][2]} | {name: found[name] for name in FIELDS.values() if name in found}


def order(draw: np.random.Generator) -> dict[str, object]:
    who, city = ("".join(draw.choice(SYLLABLES, size)).title() for size in (3, 2))
    count, item = int(draw.integers(1, 99)), str(draw.choice(ITEMS))
    texts = (
        f"{who} of {city} orders {count} {item}s today.",
        f"Send {count} {item}s to {who}, {city}.",
        f"In {city}, {who} asked for a {item}.",
    )
    kind = int(draw.integers(len(texts)))
    record = {"name": who, "city": city, "item": item} | ({"count": count} if kind < 2 else {})
    return {"text": texts[kind], "record": record}


def write_orders(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, number) in enumerate({"train": 1500, "dev": 200, "test": 200}.items()):
        draw = np.random.default_rng(seed)
        with open(folder / f"{part}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(order(draw)) + "\n" for _ in range(number))


def write_ewt(folder: Path) -> None:
    mirror = Path(os.environ["INKSTONE_DATA"]) / "srl-en-ewt"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev", "test"):
        known = [(rows, record_of(rows)) for rows in sentences(mirror / f"en_ewt-propbank-{part}.tsv.xz")]
        examples = [{"text": " ".join(row[1] for row in rows), "record": record} for rows, record in known if record]
        with open(folder / f"{part}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
        print(f"{part}: {len(examples):,} examples")


if __name__ == "__main__":
    write_orders(Path(sys.argv[1]) / "orders")
    write_ewt(Path(sys.argv[1]) / "ewt")
