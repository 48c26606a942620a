"""How long from a cold shell to the first token? `inkstone generate` as a person types it.

    python benchmarks/first_token.py --times 9

A process for each try, on random weights of a set shape; the clock stops when the first byte after the prompt stands on the
screen, here a pipe. The prompt itself is printed before the model has read it, so it does not count. Beside it: what of that
time passes until `import torch` is done, which nothing of ours can make shorter.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from random_models import SHAPES, random_folder
from results import FOLDER, write_result

PROMPT = "the ink on"


def until_first_token(command: list[str]) -> float:
    """Seconds until something stands behind the prompt."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        assert process.stdout is not None
        said = b""
        while len(said) <= len(PROMPT.encode()):
            data = process.stdout.read(64)
            if not data:
                sys.exit(f"it ended after {said!r}")
            said += data
        seconds = time.perf_counter() - began
        process.stdout.read()
    if not said.startswith(PROMPT.encode()):
        sys.exit(f"not the prompt: {said!r}")
    return seconds


def of_python(words: str) -> float:
    """Seconds of a Python that runs these words and ends."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", words], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--shapes", nargs="+", default=["qwen3-30m", "qwen3-124m"], choices=SHAPES)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--out", type=Path, default=FOLDER / "first_token.json")
    options = parser.parse_args()
    rows = []
    for shape in options.shapes:
        with tempfile.TemporaryDirectory() as name:
            random_folder(shape, Path(name))
            command = [sys.executable, "-m", "inkstone", "generate", name, PROMPT, "--max-tokens", str(options.tokens)]
            # A first token that is no whole character prints nothing, so that the greedy text decides.
            command += ["--temperature", "0"]
            until_first_token(command)  # files come into memory, and modules are compiled
            tries, torch_alone = [], []
            for _ in range(options.times):
                tries.append(until_first_token(command))
                torch_alone.append(of_python("import torch"))
            figures = [statistics.median(tries), min(tries), max(tries), statistics.median(torch_alone)]
            rows.append([shape, *(round(value, 2) for value in figures)])
            print(*rows[-1], sep="\t", flush=True)
    write_result(
        options.out,
        question="How long from a cold shell to the first token of `inkstone generate`?",
        columns=["model", "seconds, median", "fastest", "slowest", "of which Python and import torch"],
        rows=rows,
        notes=[
            f"{options.times} processes each, after one that is not counted; {len(os.sched_getaffinity(0))} cores; files of the model in the "
            "memory of the system"
        ],
    )


if __name__ == "__main__":
    main()
