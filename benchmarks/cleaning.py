"""How fast is `inkstone clean`, and in how much memory, against datatrove's equivalent steps?

    INKSTONE_DATA=FOLDER python benchmarks/cleaning.py --gigabytes 4 --peer-gigabytes 0.05

The corpus is generated from the mirror's English and Chinese prose: documents of shuffled sentences, so that no two are
alike, with exact duplicates (2 %), near-duplicates (3 %, two words changed) and tables of digits (1 %) planted at known
places. Each contestant runs in a process of its own, in turn, with the same number of workers; memory is that of its
whole process tree, sampled four times a second: the proportional set size (PSS), in which a page that several processes
share counts once, and the summed resident set sizes (RSS), in which it counts for each of them.

The peer works document by document in Python, at 0.4 MB/s on a core of the machine at hand; hence its small corpus.
"""

import argparse
import json
import lzma
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from mirror import the_mirror
from results import write_result

SOURCES = ("gutenberg-en/*.txt.xz", "wikitext-2/train.txt.xz", "chinese-novels/*.txt.xz")
FILES = 16
EXACT, NEAR, JUNK = 0.02, 0.03, 0.01
PEER_SCRIPT = Path(__file__).parent / "peers" / "datatrove_clean.py"


def sentences(mirror: Path) -> dict[str, list[str]]:
    """All sentences of the sources, by script."""
    found: dict[str, list[str]] = {"en": [], "zh": []}
    for pattern in SOURCES:
        for path in sorted(mirror.glob(pattern)):
            text = lzma.decompress(path.read_bytes()).decode()
            if path.parent.name.startswith("chinese"):
                found["zh"] += [part.strip() for part in re.findall(r"[^。！？．]{4,200}[。！？．]", text)]
            else:
                flat = re.sub(r"\s+", " ", text)
                found["en"] += [part.strip() for part in re.findall(r"[^.!?]{20,400}[.!?]", flat)]
    return found


def documents(pool: dict[str, list[str]], size: int, seed: int) -> Iterator[tuple[str, str]]:
    """(kind, text) until there are `size` bytes: new, exact, near or junk."""
    generator = random.Random(seed)
    recent: list[str] = []
    written = 0
    while written < size:
        draw = generator.random()
        if draw < EXACT and recent:
            kind, text = "exact", generator.choice(recent)
        elif draw < EXACT + NEAR and recent:
            kind, text = "near", generator.choice(recent)
            for mark in (" " if " " in text else "，", "\n"):
                text = text.replace(mark, f"{mark}{generator.randrange(10**6)}{mark}", 1)
        elif draw < EXACT + NEAR + JUNK:
            kind, text = "junk", " ".join(str(generator.randrange(10**9)) for _ in range(100))
        else:
            language = "zh" if generator.random() < 0.3 else "en"
            join = "" if language == "zh" else " "
            count = generator.randrange(2, 8)
            paragraphs = (
                join.join(generator.choices(pool[language], k=generator.randrange(2, 7))) for _ in range(count)
            )
            kind, text = "new", "\n\n".join(paragraphs)
            if len(recent) < 20_000:
                recent.append(text)
            else:
                recent[generator.randrange(len(recent))] = text
        written += len(text.encode())
        yield kind, text


def generate(mirror: Path, folder: Path, gigabytes: float) -> dict[str, int]:
    """Write the corpus as jsonl files; return how many documents of each kind there are, and the bytes of text."""
    facts_file = folder / ".facts.json"
    if facts_file.exists():
        facts = json.loads(facts_file.read_text())
        if facts["gigabytes"] == gigabytes:
            return facts
    folder.mkdir(parents=True, exist_ok=True)
    pool = sentences(mirror)
    facts = {"gigabytes": gigabytes, "bytes": 0, "new": 0, "exact": 0, "near": 0, "junk": 0}
    for number in range(FILES):
        with open(folder / f"{number:03d}.jsonl", "w", encoding="utf-8") as file:
            for kind, text in documents(pool, int(gigabytes * 1e9 / FILES), number):
                facts[kind] += 1
                facts["bytes"] += len(text.encode())
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    facts_file.write_text(json.dumps(facts))
    return facts


@dataclass
class Cost:
    """What a command with all its children took."""

    seconds: float
    pss: float  # peak, bytes; that of RSS where the system does not tell it
    rss: float  # peak of the sum, bytes


def measure(command: list[str], log: Path) -> Cost:
    """Run a command and watch its process tree."""
    begin = time.monotonic()
    cost = Cost(0.0, 0.0, 0.0)
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"}
        )
        root = psutil.Process(process.pid)
        while process.poll() is None:
            pss = rss = 0.0
            try:
                for member in (root, *root.children(recursive=True)):
                    shared, resident = memory(member)
                    pss, rss = pss + shared, rss + resident
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                pass
            cost.pss, cost.rss = max(cost.pss, pss), max(cost.rss, rss)
            time.sleep(0.25)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    cost.seconds = time.monotonic() - begin
    return cost


def memory(process: psutil.Process) -> tuple[float, float]:
    """PSS and RSS of a process in bytes."""
    resident = float(process.memory_info().rss)
    sizes = Path(f"/proc/{process.pid}/smaps_rollup")
    if not sizes.exists():
        return resident, resident
    found = re.search(r"^Pss:\s+(\d+) kB", sizes.read_text(), re.MULTILINE)
    return (int(found.group(1)) * 1024.0 if found else 0.0), resident


def ours(corpus: Path, work: Path, workers: int) -> dict[str, float]:
    out = work / "ours"
    command = [sys.executable, "-m", "inkstone", "clean", str(corpus), "--out", str(out), "--format", "jsonl", "--json"]
    log = work / "ours.log"
    cost = measure([*command, "--processes", str(workers)], log)
    facts = json.loads(log.read_text().splitlines()[-1])
    return {**vars(cost), "kept": facts["kept_documents"]}


def theirs(corpus: Path, work: Path, workers: int) -> dict[str, float]:
    out = work / f"theirs-{time.monotonic_ns()}"
    cost = measure([sys.executable, str(PEER_SCRIPT), str(corpus), str(out), str(workers)], work / "theirs.log")
    kept = 0
    for path in (out / "kept").glob("*.jsonl"):
        with open(path, "rb") as file:
            kept += sum(1 for _ in file)
    return {**vars(cost), "kept": kept}


def row(name: str, facts: dict[str, int], runs: list[dict[str, float]]) -> dict[str, float | str]:
    """The medians of the runs of one contestant."""
    seconds = statistics.median(run["seconds"] for run in runs)
    planted = facts["exact"] + facts["near"] + facts["junk"]
    return {
        "name": name,
        "text_bytes": facts["bytes"],
        "seconds": round(seconds, 2),
        "megabytes_per_second": round(facts["bytes"] / 1e6 / seconds, 2),
        "peak_pss_megabytes": round(max(run["pss"] for run in runs) / 1e6),
        "peak_rss_megabytes": round(max(run["rss"] for run in runs) / 1e6),
        "documents": planted + facts["new"],
        "planted": planted,
        "dropped": planted + facts["new"] - int(runs[0]["kept"]),
        "runs": len(runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, default=0.25, help="of text for inkstone")
    parser.add_argument("--peer-gigabytes", type=float, help="of text for both where the peer runs too (0: no peer)")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs at the peer's size")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, help="folder for the corpora, kept for the next run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cleaning.json")
    options = parser.parse_args()
    mirror = the_mirror()
    peer_size = min(options.gigabytes, 0.05) if options.peer_gigabytes is None else options.peer_gigabytes
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        if peer_size:
            facts = generate(mirror, work / f"corpus-{peer_size:g}", peer_size)
            pairs = [
                (
                    ours(work / f"corpus-{peer_size:g}", work, options.workers),
                    theirs(work / f"corpus-{peer_size:g}", work, options.workers),
                )
                for _ in range(options.repeats)
            ]
            rows += [
                row("inkstone", facts, [pair[0] for pair in pairs]),
                row("datatrove", facts, [pair[1] for pair in pairs]),
            ]
        if options.gigabytes != peer_size:
            facts = generate(mirror, work / f"corpus-{options.gigabytes:g}", options.gigabytes)
            rows.append(
                row("inkstone, large", facts, [ours(work / f"corpus-{options.gigabytes:g}", work, options.workers)])
            )
    notes = [f"{options.workers} worker processes each; memory is the proportional set size of the whole process tree"]
    if peer_size:
        speed = statistics.median(pair[1]["seconds"] / pair[0]["seconds"] for pair in pairs)
        memory = statistics.median(pair[1]["pss"] / pair[0]["pss"] for pair in pairs)
        notes.append(f"inkstone is {speed:.2f} times as fast, in 1/{memory:.2f} of the memory")
    write_result(
        options.out,
        question="How fast is cleaning and deduplication against datatrove?",
        columns=["program", "text, MB", "seconds", "MB/s", "peak memory, MB", "summed RSS, MB", "planted", "dropped"],
        rows=[
            [
                line["name"],
                round(line["text_bytes"] / 1e6),
                round(line["seconds"], 1),
                round(line["megabytes_per_second"], 1),
                line["peak_pss_megabytes"],
                line["peak_rss_megabytes"],
                line["planted"],
                line["dropped"],
            ]
            for line in rows
        ],
        notes=notes,
    )


if __name__ == "__main__":
    main()
