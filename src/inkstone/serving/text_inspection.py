"""What is in a text: what cleaning would drop and why, languages, duplicates by group, tokens.

Looked at in a process of its own, `python -m inkstone.serving.text_inspection FILE`, which the server ends when it takes too long, so
that no file that a person drops onto the page can hold it up. Of large texts a part is looked at.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from inkstone.errors import InkstoneError
from inkstone.text.clean import clean_batches
from inkstone.text.clean_report import CleanReport
from inkstone.text.sampling import Sample, draw_sample
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.sizing import vocabulary_for

MOST_BYTES = 24 << 20  # of text that is looked at
SECONDS = 20.0  # for the reading; the process has six times as long
MOST_GROUPS = 30  # of duplicates that are shown
MOST_OF_GROUP = 8
BEGINNING = 160  # characters of a document that are shown
LARGEST_VOCABULARY = 8192  # of a tokenizer that is learned to count tokens
ENOUGH = 1e18  # floating-point operations: so that the text alone bounds the vocabulary
TOKENISED = 4 << 20  # bytes of text that tokens are counted in
REPEATED = re.compile(r"(?s)^(near-)?duplicate of (.*)$")


def inspect_text(file: Path, name: str, tokenizer: Path | None = None) -> dict[str, Any]:
    """The facts of a text that is called `name`; tokens by the tokenizer of a model folder, or by one that is learned from it.

    Raises TextError where there is no text.
    """
    sample = draw_sample([file], MOST_BYTES)
    sample.most_bytes, sample.seconds = 2 * MOST_BYTES, SECONDS
    batches, report = clean_batches([str(file)], processes=1, quiet=True, sample=sample)
    beginnings: dict[str, str] = {}
    copies: dict[str, list[tuple[str, bool]]] = {}
    texts: list[str] = []
    kept_bytes = 0
    for frame in batches:
        shown = frame.select("id", pl.col("text").str.head(BEGINNING).str.replace_all(r"\s+", " "), "dropped")
        for number, beginning, reason in shown.iter_rows():
            beginnings[number] = beginning
            if found := REPEATED.match(reason or ""):
                copies.setdefault(found[2], []).append((number, found[1] is None))
        for text in frame.filter(pl.col("dropped").is_null())["text"]:
            if kept_bytes < TOKENISED:
                texts.append(text)
                kept_bytes += len(text.encode())
    label = str(file)

    def called(number: str) -> str:
        return name + number.removeprefix(label)

    return {
        **_cleaning(report, called, sample),
        "groups": _groups(copies, beginnings, called),
        "repeated": {"groups": len(copies), "documents": sum(map(len, copies.values()))},
        "tokens": _tokens(texts, report.kept_bytes, tokenizer) if texts else None,
    }


def _cleaning(report: CleanReport, called: Any, sample: Sample) -> dict[str, Any]:
    told = report.to_dict()
    names = (
        "documents",
        "bytes",
        "kept_documents",
        "kept_bytes",
        "languages",
        "chinese_scripts",
        "encodings",
        "formats",
    )
    return {
        **{name: told[name] for name in (*names, "repairs", "seconds", "malformed")},
        "notes": report.encoding_notes(),
        "skipped": [[called(source), reason] for source, reason in told["skipped"][:20]],
        "boilerplate": {"lines": report.removed_lines.lines, "examples": report.removed_lines.examples},
        "dropped": [
            {
                "reason": reason,
                "documents": entry.documents,
                "bytes": entry.bytes,
                "examples": [[called(number), text] for number, text in entry.examples],
            }
            for reason, entry in report.dropped.items()
        ],
        "part": None
        if not sample.ended_by and sample.share == 1
        else {"bytes": sample.bytes, "of": sample.total_bytes},
    }


def _groups(copies: dict[str, list[tuple[str, bool]]], beginnings: dict[str, str], called: Any) -> list[dict[str, Any]]:
    largest = sorted(copies.items(), key=lambda group: (-len(group[1]), group[0]))[:MOST_GROUPS]
    return [
        {
            "kept": {"id": called(kept), "text": beginnings.get(kept, "")},
            "documents": len(others) + 1,
            "copies": [
                {"id": called(number), "text": beginnings[number], "exact": exact}
                for number, exact in others[:MOST_OF_GROUP]
            ],
        }
        for kept, others in largest
    ]


def _tokens(texts: list[str], kept_bytes: int, folder: Path | None) -> dict[str, Any]:
    """How many tokens the text has, from those that were counted, and which are the most frequent."""
    if folder is not None:
        tokenizer, of = Tokenizer.load(folder), folder.name
    else:
        size, _ = vocabulary_for(ENOUGH, kept_bytes)
        tokenizer, of = learn_tokenizer(texts, vocab_size=min(size, LARGEST_VOCABULARY), sample_bytes=1 << 20), None
    counts: Counter[int] = Counter()
    counted = tokens = 0
    for ids, text in zip(tokenizer.encode_batch(texts), texts, strict=True):
        counts.update(ids.tolist())
        tokens += len(ids)
        counted += len(text.encode())
    each = counted / max(1, tokens)
    return {
        "tokenizer": of,
        "vocabulary": tokenizer.vocab_size,
        "count": round(kept_bytes / each),
        "counted": tokens,
        "bytes_per_token": round(each, 3),
        "used": len(counts),
        "frequent": [[tokenizer.decode([number]), count] for number, count in counts.most_common(24)],
    }


def inspected(file: Path, name: str, tokenizer: Path | None = None, seconds: float = 6 * SECONDS) -> dict[str, Any]:
    """`inspect_text` in a process of its own. Raises InkstoneError with its reason, and where it takes longer than `seconds`."""
    command = [sys.executable, "-m", "inkstone.serving.text_inspection", str(file), f"--name={name}"]
    command += [] if tokenizer is None else ["--tokenizer", str(tokenizer)]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise InkstoneError(
            f"{name}: looking at it took longer than {seconds:.0f} seconds; clean it by: inkstone clean"
        ) from None
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        raise InkstoneError(f"{name}: looking at it failed; try: inkstone clean FILE --out FOLDER") from None
    if "error" in told:
        raise InkstoneError(told["error"].replace(str(file), name))
    return told


def main() -> None:
    """One file; the facts, or {"error": reason}, as JSON on standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", default="text")
    parser.add_argument("--tokenizer", type=Path)
    options = parser.parse_args()
    try:
        told = inspect_text(options.file, options.name, options.tokenizer)
    except InkstoneError as error:
        told = {"error": str(error)}
    sys.stdout.buffer.write(json.dumps(told).encode())


if __name__ == "__main__":
    main()
