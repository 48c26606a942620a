"""How many tokens a second does generation write, and prompts are read? Ours and its peers, each in its best setting, in turn.

    python benchmarks/generation.py --pairs 5
    python benchmarks/generation.py --shapes qwen3-30m --only 'llama.cpp q8_0' 'inkstone*int8' --cells 1 --pairs 3

Random weights of set shapes (`random_models.py`) go to every engine: ours as run folders, transformers as they are, llama.cpp
as GGUF, CTranslate2 as its folders, onnxruntime-genai as its builder makes it, vLLM as they are. Every contestant and number
format is a process of its own (`peers/generators.py`), with an interpreter of its own where `--python vllm=/path/to/python` names
one, since some do not go together with our packages. A cell is a number of texts, each with a prompt of its own of 64 tokens, continued greedily by 128
tokens, the reading of the prompts in the time; the cell "prefill" reads a prompt of 512 tokens and writes one. All contestants
of a cell run in turn, so many rounds; a ratio is the median over the rounds of those to ours of the same number format.

The last column is what part of the time reading the weights alone would take: bytes of the matrices a token is multiplied with,
over the speed at which this machine reads as many bytes again and again (measured here). It is shown for one text at a time.
"""

import argparse
import contextlib
import fnmatch
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from inkstone.hub.huggingface_config import settings_from
from random_models import SHAPES, random_folder, random_prompts
from results import FOLDER, write_result

HERE = Path(__file__).parent
PREFILL = "prefill"
# Contestants with their number formats. The first of each format is what the others are set against.
CONTESTANTS = [
    *((f"inkstone{way}", form) for form in ("float32", "bfloat16", "int8", "int4") for way in ("", ", not compiled")),
    *((f"transformers{way}", form) for form in ("float32", "bfloat16") for way in ("", ", static cache", ", compiled")),
    *(("llama.cpp", form) for form in ("float32", "bfloat16", "q8_0", "q4_0")),
    *(("ctranslate2", form) for form in ("float32", "bfloat16", "int8")),
    *(("onnxruntime-genai", form) for form in ("float32", "int8", "int4")),
    *(("vllm", form) for form in ("float32", "bfloat16")),
]
WAYS = {"transformers, static cache": "transformers, static"}  # as `peers/generators.py` calls them
BITS = {"q8_0": "int8", "q4_0": "int4"}  # of ours, against which these are set
BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5, "q8_0": 34 / 32, "q4_0": 18 / 32}  # of a weight


@dataclass
class Contestant:
    """A process that writes."""

    who: str
    form: str
    process: subprocess.Popen
    bytes: float

    def write(self, prompts: list[list[int]], tokens: int) -> tuple[float, list[list[int]]]:
        """Seconds, and the texts."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"prompts": prompts, "tokens": tokens}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.who} {self.form} ended with {self.process.wait()}")
        answer = json.loads(line)
        if any(len(text) != tokens for text in answer["texts"]) or len(answer["texts"]) != len(prompts):
            raise RuntimeError(f"{self.who} {self.form} wrote {[len(text) for text in answer['texts']]} tokens")
        return answer["seconds"], answer["texts"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        with contextlib.suppress(ProcessLookupError):  # what it has begun and left
            os.killpg(self.process.pid, signal.SIGKILL)


def started(
    who: str, form: str, folder: Path, options: argparse.Namespace, rows: int, notes: list[str]
) -> Contestant | None:
    """The process of a contestant; None, and a note, where it cannot be had."""
    python = dict(each.split("=", 1) for each in options.python).get(who.partition(",")[0], sys.executable)
    command = [python, str(HERE / "peers" / "generators.py"), WAYS.get(who, who), form, str(folder)]
    command += ["--threads", str(options.threads), "--rows", str(rows)]
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (the process writes into it as long as it runs)
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    process = subprocess.Popen(command, **pipes, text=True, start_new_session=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    answer = json.loads(line) if line else {"ready": False, "reason": "it ended while it was opening the model"}
    if answer["ready"]:
        return Contestant(who, form, process, multiplied_bytes(folder, form))
    process.wait()
    log.seek(0)
    note = f"{who}, {form}: {answer['reason']}"
    print(note, *([] if line else log.read().splitlines()[-5:]), sep="\n", file=sys.stderr)
    if note not in notes:
        notes.append(note)
    return None


def multiplied_bytes(folder: Path, form: str) -> float:
    """Bytes of the weights that each token is multiplied with, when stored in this form."""
    place = folder / "config.json"
    return settings_from(json.loads(place.read_text()), place).matrix_parameters() * BYTES[form]


@cache
def read_speed(size: int, threads: int) -> float:
    """Bytes a second at which as many bytes are read again and again: the fastest of a few ways."""
    torch.set_num_threads(threads)
    numbers = torch.ones(max(1024, size // 4))
    matrix = numbers[: len(numbers) // 1024 * 1024].view(-1, 1024)
    vector = torch.ones(1024)
    best = 0.0
    for read in (numbers.sum, lambda: torch.dot(numbers, numbers), lambda: matrix @ vector):
        read()
        for _ in range(5):
            began, n = time.perf_counter(), 0
            while time.perf_counter() - began < 0.1:
                read()
                n += 1
            best = max(best, n * 4 * len(numbers) / (time.perf_counter() - began))
    return best


def cell_rows(
    shape: str, cell: str, contestants: list[Contestant], options: argparse.Namespace, notes: list[str]
) -> list[list]:
    """One cell of a shape: all contestants in turn."""
    rows, length, tokens = (
        (1, options.long_prompt, 1) if cell == PREFILL else (int(cell), options.prompt, options.tokens)
    )
    prompts = random_prompts(rows, length)
    texts: dict[tuple[str, str], list[list[int]]] = {}
    for each in contestants[:]:
        try:  # the first round compiles, allocates and warms, and is not counted
            texts[each.who, each.form] = each.write(prompts, tokens)[1]
        except RuntimeError as error:
            print(error, file=sys.stderr)
            notes.append(f"{shape}, {cell}: {error}")
            contestants.remove(each)
    times: dict[tuple[str, str], list[float]] = {(each.who, each.form): [] for each in contestants}
    for _ in range(options.pairs):
        for each in contestants:
            times[each.who, each.form].append(each.write(prompts, tokens)[0])
            time.sleep(options.rest)
    ours = texts.get(("inkstone", "float32"))
    done = []
    for each in contestants:
        key = each.who, each.form
        seconds = statistics.median(times[key])
        rate = (length if cell == PREFILL else rows * tokens) / seconds
        base = times.get(("inkstone", BITS.get(each.form, each.form)))
        ratio = None
        if base and each.who != "inkstone":
            ratio = round(statistics.median(other / own for other, own in zip(times[key], base, strict=True)), 2)
        share = None
        if cell == "1":
            share = round(100 * tokens * each.bytes / read_speed(int(each.bytes), options.threads) / seconds)
        done.append([shape, cell, each.who, each.form, round(rate, 1), ratio, share])
        print(*done[-1], sep="\t", flush=True)
        if each.form == "float32" and ours and key != ("inkstone", "float32") and any(map(any, texts[key])):
            same = sum(a == b for a, b in zip(ours, texts[key], strict=True))
            if same < rows and cell != PREFILL:
                notes.append(f"{shape}, {cell}: {each.who} writes {same} of {rows} texts as ours does, float32")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--shapes", nargs="+", default=[shape for shape in SHAPES if shape != "qwen3-1m"], choices=SHAPES
    )
    parser.add_argument("--cells", nargs="+", default=["1", "8", "32", PREFILL], metavar="CELL")
    parser.add_argument("--only", nargs="+", metavar="WHO FORMAT", help="contestants as 'llama.cpp q8_0'; * for any")
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--prompt", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=128, help="tokens to write")
    parser.add_argument("--long-prompt", type=int, default=512, help="tokens of the prompt of prefill")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--rest", type=float, default=0.1, help="seconds between two, in which thread pools fall asleep"
    )
    parser.add_argument("--python", nargs="+", default=[], metavar="WHO=PATH", help="the interpreter of a contestant")
    parser.add_argument("--out", type=Path, default=FOLDER / "generation.json")
    options = parser.parse_args()
    chosen = [
        pair for pair in CONTESTANTS if any(fnmatch.fnmatch(" ".join(pair), only) for only in options.only or ["*"])
    ]
    rows: list[list] = []
    notes: list[str] = []
    weights = {}
    for shape in options.shapes:
        with tempfile.TemporaryDirectory() as name:
            weights[shape] = random_folder(shape, Path(name))
            for cell in options.cells:
                at_once = 1 if cell == PREFILL else int(cell)
                found = [started(*pair, Path(name), options, at_once, notes) for pair in chosen]
                contestants = [each for each in found if each is not None]
                try:
                    rows += cell_rows(shape, cell, contestants, options, notes)
                finally:
                    for each in contestants:
                        each.close()
    write_result(
        options.out,
        question="How many tokens a second does generation write, greedily, and how many of a prompt are read?",
        columns=[
            "model",
            "texts at once",
            "who",
            "number format",
            "tokens a second",
            "inkstone is faster by",
            "% of reading speed",
        ],
        rows=rows,
        notes=[
            "random weights: " + ", ".join(f"{shape} {count / 1e6:.1f} M" for shape, count in weights.items()),
            f"prompts of {options.prompt} tokens, each another, and {options.tokens} new ones; prefill: {options.long_prompt} and "
            f"one; {options.pairs} rounds in turn, medians; {options.threads} threads",
            "of one text `inkstone generate`, of several the engine of `inkstone serve`; ratios are to ours of the same "
            "number format, q8_0 to int8 and q4_0 to int4",
            *notes,
        ],
    )


if __name__ == "__main__":
    main()
