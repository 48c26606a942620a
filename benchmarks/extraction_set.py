"""Texts with records from PropBank on English EWT: who does what to whom, when and where, of the root verb of a sentence.

    python benchmarks/extraction_set.py FOLDER

writes train.jsonl, dev.jsonl and test.jsonl with a text and a record each; INKSTONE_DATA names the mirror.
"""

import json
import lzma
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

FIELDS = {
    "ARG0": "agent",
    "ARG1": "object",
    "ARG2": "other",
    "ARGM-TMP": "when",
    "ARGM-LOC": "where",
    "ARGM-NEG": "not",
}
LONGEST = 20  # words


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


def write(folder: Path) -> None:
    mirror = Path(os.environ["INKSTONE_DATA"]) / "srl-en-ewt"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev", "test"):
        known = [(rows, record_of(rows)) for rows in sentences(mirror / f"en_ewt-propbank-{part}.tsv.xz")]
        examples = [{"text": " ".join(row[1] for row in rows), "record": record} for rows, record in known if record]
        with open(folder / f"{part}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
        print(f"{part}: {len(examples):,} examples")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
