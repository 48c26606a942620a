"""How well and how fast are words counted into a modified Kneser–Ney model, against KenLM?

    INKSTONE_DATA=FOLDER python benchmarks/ngram.py --lmplz FILE [--part test] [--large 100]

WikiText-2 as published, words between spaces, every line a text of its own; its "<unk>" is renamed, so that it is a word
like any other. With --large, also that many MB of the Python sources and notes of this installation: real text, whose
n-grams keep growing. Each estimation is a process of its own, from the text file to the finished model (KenLM's writes
ARPA, ours keeps arrays), so that its memory is known. KenLM scores through its Python package.
"""

import argparse
import lzma
import math
import multiprocessing
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from inkstone.hub.arpa import read_arpa, word_tokenizer
from inkstone.models.ngram import NGram, NGramSettings
from mirror import the_mirror
from results import FOLDER, write_result

SPECIAL = ["<s>", "</s>", "<unk>"]
LINES = 200_000  # turned into ids at once


def clean(line: str) -> str:
    """One text a line, words between single spaces, and no word that means something to KenLM."""
    line = " ".join(re.split(r"[\s\0]+", line)).strip()
    return re.sub(r"</?s>|<unk>", lambda found: found[0].upper(), line)


def wikitext(mirror: Path, part: str) -> list[str]:
    text = lzma.decompress((mirror / f"wikitext-2/{part}.txt.xz").read_bytes()).decode()
    return [clean(line) for line in text.split("\n")[:-1]]


def installed_text(megabytes: float) -> list[str]:
    """Lines of the Python files and notes of this installation, in the order of their names."""
    lines, size = [], 0
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix not in (".py", ".pyi", ".txt", ".rst", ".md") or not path.is_file():
                continue
            for line in map(clean, path.read_text(encoding="utf-8", errors="ignore").splitlines()):
                if line:
                    lines.append(line)
                    size += len(line.encode()) + 1
            if size > megabytes * 1e6:
                return lines
    return lines


def ids_of(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """The ids of each line, and the words."""
    numbers = {word: number for number, word in enumerate(SPECIAL)}
    documents: list[np.ndarray] = []
    with open(path, encoding="utf-8", newline="\n") as file:
        while lines := file.readlines(LINES * 50):
            split = pl.Series(lines).str.strip_chars(" \n").str.split(" ")
            flat = split.explode()
            codes = flat.cast(pl.Categorical).to_physical().to_numpy()
            _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
            known = [numbers.setdefault(word, len(numbers)) if word else -1 for word in flat.gather(first)]
            ids = np.array(known, dtype=np.int32)[inverse]
            ends = np.cumsum(split.list.len().to_numpy())
            lengths = np.diff(ends, prepend=0)
            parts = np.split(ids, ends[:-1])
            empty = (lengths == 1) & (ids[ends - 1] < 0)
            documents += [part[:0] if nothing else part for part, nothing in zip(parts, empty, strict=True)]
    return documents, list(numbers)


def estimate_ours(path: Path, order: int, min_count: int, scored: list[str], pipe) -> None:
    """In a process of its own."""
    begin, cpu = time.perf_counter(), time.process_time()
    documents, words = ids_of(path)
    reading = time.process_time() - cpu
    model = NGram(NGramSettings(len(words), order, min_count=min_count), word_tokenizer(words))
    model.fit(documents)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    memory = peak_memory("self")
    numbers = {word: number for number, word in enumerate(words)}
    held = [np.array([numbers.get(word, 2) for word in line.split()], dtype=np.int64) for line in scored]
    tokens = sum(len(document) + 1 for document in held)
    rates = []
    for _ in range(5):
        start = time.process_time()
        nats = model.score_documents(held).sum()
        rates.append(tokens / (time.process_time() - start))
    entries = sum(len(table.keys) for table in model.tables)
    pipe.send([math.exp(nats / tokens), entries, seconds, cpu, reading, memory, sorted(rates)[2]])


def ours(path: Path, order: int, min_count: int, scored: list[str]) -> list:
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=estimate_ours, args=(path, order, min_count, scored, there))
    process.start()
    there.close()
    row = here.recv()
    process.join()
    return row


def theirs(lmplz: Path, path: Path, order: int, min_count: int, scored: list[str], folder: Path) -> list:
    arpa = folder / f"kenlm-{order}.arpa"
    words = [str(lmplz), "-o", str(order), "-S", "2G", "-T", str(folder), "--discount_fallback"]
    if min_count > 1:
        words += ["--prune", "0", "0", str(min_count - 1)]
    begin = time.perf_counter()
    with open(path, "rb") as source, open(arpa, "wb") as target:
        process = subprocess.Popen(words, stdin=source, stdout=target, stderr=subprocess.DEVNULL)
        memory, ended = 0, 0
        while not ended:
            memory = max(memory, peak_memory(process.pid))
            time.sleep(0.02)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
    if status:
        sys.exit(f"{' '.join(words)} failed")
    seconds = time.perf_counter() - begin
    with open(arpa, encoding="utf-8") as file:
        entries = sum(int(line.split("=")[1]) for line in (file.readline() for _ in range(order + 1)) if "=" in line)
    score, rate = score_theirs(arpa, scored)
    return [score, entries, seconds, used.ru_utime + used.ru_stime, None, memory, rate]


def peak_memory(process: int | str) -> int:
    """Bytes resident at most since the process began its program.

    The peak that getrusage tells is no use: it counts what the parent held when it started the process.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 if found else 0  # a process that has ended has no memory


def score_theirs(arpa: Path, scored: list[str]) -> tuple[float, float | None]:
    try:
        import kenlm  # type: ignore[import-not-found]
    except ImportError:
        model = read_arpa(arpa)
        held = [np.array(model.tokenizer.encode(line)) for line in scored]
        return math.exp(model.score_documents(held).sum() / sum(len(d) + 1 for d in held)), None
    model = kenlm.Model(str(arpa))
    tokens = sum(len(line.split()) + 1 for line in scored)
    rates, total = [], 0.0
    for _ in range(5):
        start = time.process_time()
        total = sum(model.score(line) for line in scored)
        rates.append(tokens / (time.process_time() - start))
    return math.exp(-total * math.log(10) / tokens), sorted(rates)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--part", choices=("valid", "test"), default="valid", help="of WikiText-2, to score")
    parser.add_argument("--orders", type=int, nargs="*", default=[3, 5])
    parser.add_argument("--large", type=float, default=0, help="MB of the large text; 0 leaves it out")
    parser.add_argument("--lmplz", type=Path, help="KenLM's program, to race against")
    parser.add_argument("--out", type=Path, default=FOLDER / "ngram.json")
    options = parser.parse_args()
    mirror = the_mirror()
    held = wikitext(mirror, options.part)
    jobs = [("WikiText-2", wikitext(mirror, "train"), held, order, 1) for order in options.orders]
    if options.large:
        lines = installed_text(options.large)
        kept, last = lines[: -len(lines) // 100], lines[-len(lines) // 100 :]  # the last hundredth is scored
        jobs += [("Python's sources", kept, last, 5, least) for least in (1, 2)]
    rows = []
    for name, lines, scored, order, min_count in jobs:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            label = [name, path.stat().st_size / 1e6, order, min_count]
            contestants = {"inkstone": ours(path, order, min_count, scored)}
            if options.lmplz:
                contestants["KenLM"] = theirs(options.lmplz, path, order, min_count, scored, Path(folder))
            for contestant, (score, entries, seconds, cpu, reading, memory, rate) in contestants.items():
                rows.append([*label, contestant, score, entries, seconds, cpu, reading, memory / 1e9, rate])
                print(rows[-1], file=sys.stderr)
    write_result(
        options.out,
        question="How well and how fast are words counted into a modified Kneser–Ney model, against KenLM?",
        columns=[
            "text", "MB", "order", "least count", "contestant", "perplexity", "n-grams", "seconds", "CPU seconds",
            "of which reading words", "peak memory, GB", "tokens/s scored",
        ],
        rows=rows,
        notes=[
            f"Perplexity per word, the end of each line counted: WikiText-2, the part {options.part}; of Python's "
            "sources, the last hundredth of the lines.",
            "Seconds from the text file to the model; KenLM's is written as ARPA, on as many threads as it likes. "
            "Least count: n-grams of order 3 and above that came fewer times are left out.",
            "Tokens/s are per second of CPU; ours are scored from ids, KenLM's from lines of text in Python.",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
