"""Does a server under load lose, mix up or slow down what it is asked? Ours with each of its engines, and llama.cpp's own server.

    python benchmarks/serving.py --clients 64 --requests 2000

Each server is a process of its own on 127.0.0.1 with the same random weights (`random_models.py`). So many clients send requests
one after another as fast as they are answered: prompts of 4 to 120 tokens and answers of 8 to 64, streamed, at temperature 0.
A tenth is cut off by the client in the middle, a tenth is malformed in one of several ways and must be refused with a status from 400
to 499. Before, a sample of the prompts is asked alone, one by one: under load each must get its solo answer. A text may
part from its solo answer where rounding decides between likely tokens; such are counted apart from answers that are another
prompt's, of which there must be none. Memory is that of the server's process after a tenth of the requests and at the end.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from random_models import SHAPES, random_folder
from results import FOLDER, write_result

HERE = Path(__file__).parent
SERVERS = ("inkstone", "inkstone, llama.cpp", "inkstone, ctranslate2", "llama.cpp")
MALFORMED: list[Any] = [
    b"{not json",
    {"prompt": "a", "max_tokens": "many"},
    {"prompt": {"a": 1}, "max_tokens": 4},
    {"prompt": [1, 2], "max_tokens": 4, "temperature": "hot"},
    {"prompt": [[]], "max_tokens": 4},
    {"prompt": [10**9], "max_tokens": 4},
]


@dataclass(frozen=True)
class Job:
    """One request: what is asked, and what the client does with it."""

    prompt: tuple[int, ...]
    tokens: int
    kind: str  # "whole", "cut" or a number of MALFORMED


@dataclass
class Seen:
    """What the clients saw."""

    first: list[float] = field(default_factory=list)  # seconds to the first token
    between: list[float] = field(default_factory=list)  # seconds between two events
    tokens: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def jobs_of(n: int, seed: int = 0) -> list[Job]:
    """Requests of mixed lengths; prompts come back now and then, as they do."""
    draw = random.Random(seed)
    prompts = [tuple(draw.randrange(256) for _ in range(draw.randint(4, 120))) for _ in range(max(8, n // 8))]
    jobs = []
    for place in range(n):
        kind = "cut" if place % 10 == 3 else str(draw.randrange(len(MALFORMED))) if place % 10 == 7 else "whole"
        jobs.append(Job(draw.choice(prompts), draw.randint(8, 64), kind))
    return jobs


class Client:
    """Asks a server at /v1/completions."""

    def __init__(self, url: str, seen: Seen, solo: dict[tuple[int, ...], str], exact: bool):
        self.url, self.seen, self.solo, self.exact = url, seen, solo, exact
        self.http = httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None))

    async def text(self, prompt: tuple[int, ...], tokens: int, stop_after: int | None = None) -> str:
        """The streamed answer, or the beginning of it; times are noted."""
        body = {"prompt": list(prompt), "max_tokens": tokens, "temperature": 0, "stream": True}
        parts: list[str] = []
        began = last = time.perf_counter()
        async with self.http.stream("POST", f"{self.url}/v1/completions", json=body) as answer:
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code} {(await answer.aread())[:200]!r}")
            finished = False
            async for line in answer.aiter_lines():
                data = line.removeprefix("data:").strip()
                if not data or data == "[DONE]":
                    finished = finished or data == "[DONE]"
                    continue
                event = json.loads(data)
                if "error" in event:
                    raise RuntimeError(str(event["error"])[:200])
                for choice in event["choices"]:
                    parts.append(choice["text"])
                    now = time.perf_counter()
                    (self.seen.between if len(parts) > 1 else self.seen.first).append(
                        now - (last if len(parts) > 1 else began)
                    )
                    last = now
                if stop_after is not None and len(parts) >= stop_after:
                    return "".join(parts)
            if not finished:
                raise RuntimeError("the stream ended before its end")
        self.seen.tokens += len(parts)
        return "".join(parts)

    async def do(self, job: Job) -> None:
        """One request, and whether its answer is right."""
        counts = self.seen.counts
        try:
            if job.kind == "cut":
                text = await self.text(job.prompt, job.tokens, stop_after=max(2, job.tokens // 2))
                counts["cut"] += 1
            elif job.kind == "whole":
                text = await self.text(job.prompt, job.tokens)
                counts["whole"] += 1
            else:
                bad = MALFORMED[int(job.kind)]
                content = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
                headers = {"Content-Type": "application/json"}
                answer = await self.http.post(f"{self.url}/v1/completions", content=content, headers=headers)
                counts["malformed, refused" if 400 <= answer.status_code < 500 else "malformed, not refused"] += 1
                return
        except Exception as error:
            counts["lost"] += 1
            self.seen.faults.append(f"{job.kind}: {type(error).__name__}: {error}")
            return
        expected = self.solo.get(job.prompt)
        if expected is None:
            return
        shorter = min(len(text), len(expected))
        if text[:shorter] == expected[:shorter]:
            counts["as alone"] += 1
        elif any(other.startswith(text) for prompt, other in self.solo.items() if prompt != job.prompt and text):
            counts["another's"] += 1
            self.seen.faults.append(f"the answer to another prompt: {text[:60]!r}")
        else:
            counts["parts from it"] += 1


async def load(url: str, jobs: list[Job], clients: int, solo_prompts: int, process: psutil.Process) -> dict[str, Any]:
    """Ask alone, then all together; what was seen."""
    seen, alone = Seen(), Seen()
    solo: dict[tuple[int, ...], str] = {}
    client = Client(url, alone, {}, True)
    for prompt in list(dict.fromkeys(job.prompt for job in jobs if job.kind != "malformed"))[:solo_prompts]:
        solo[prompt] = await client.text(prompt, 64)
    client.seen, client.solo = seen, solo
    waiting = list(reversed(jobs))
    memory: list[int] = []

    async def work() -> None:
        while waiting:
            await client.do(waiting.pop())
            if len(jobs) - len(waiting) >= len(jobs) // 10 and not memory:
                memory.append(process.memory_info().rss)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    seconds = time.perf_counter() - began
    memory.append(process.memory_info().rss)
    again = [await client.text(prompt, 64) == text for prompt, text in list(solo.items())[:8]]  # it still answers
    await client.http.aclose()
    return {"seen": seen, "seconds": seconds, "memory": memory, "after": again}


def command_of(name: str, folder: Path, port: int, options: argparse.Namespace) -> list[str]:
    """How a server is started."""
    if name == "llama.cpp":
        here = [sys.executable, str(HERE / "peers" / "llama_server.py"), str(folder), "--port", str(port)]
        return [*here, "--slots", str(options.slots), "--threads", str(options.threads), "--form", options.llama_form]
    engine = name.partition(", ")[2] or "inkstone"
    words = [sys.executable, "-m", "inkstone", "serve", f"model={folder}", "--port", str(port), "--engine", engine]
    if engine == "llama.cpp":
        words += ["--engine-dtype", options.llama_form]
    # Clients come from one address; what protects against many is not what is measured.
    return [*words, "--slots", str(options.slots), "--most-requests", str(2 * options.clients), "--device", "cpu"]


def run(name: str, folder: Path, jobs: list[Job], options: argparse.Namespace) -> dict[str, Any]:
    """One server from its start to its end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command_of(name, folder, port, options), stdout=log, stderr=log, text=True, env=environment
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 300
            while True:
                try:
                    if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    sys.exit(f"{name} did not start: {log.read()[-1000:]}")
                time.sleep(0.2)
            return asyncio.run(load(url, jobs, options.clients, options.solo, psutil.Process(process.pid)))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def percentile(values: list[float], share: float) -> float | None:
    """In milliseconds."""
    return None if not values else round(1000 * sorted(values)[min(len(values) - 1, int(share * len(values)))], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--shape", default="qwen3-30m", choices=SHAPES)
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=SERVERS)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--solo", type=int, default=64, help="prompts that are asked alone before")
    parser.add_argument("--slots", type=int, default=16, help="texts that a server writes at once")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--llama-form", default="float32", help="number format of llama.cpp, in both of its servers")
    parser.add_argument("--out", type=Path, default=FOLDER / "serving.json")
    options = parser.parse_args()
    jobs = jobs_of(options.requests)
    rows, notes, broken = [], [], False
    with tempfile.TemporaryDirectory() as name:
        weights = random_folder(options.shape, Path(name))
        for server in options.servers:
            found = run(server, Path(name), jobs, options)
            seen: Seen = found["seen"]
            c = seen.counts
            right = c["as alone"]
            first, between = seen.first, seen.between
            grown = round((found["memory"][-1] - found["memory"][0]) / 1e6, 1)
            rows.append(
                [
                    server, round(seen.tokens / found["seconds"], 1), round(len(jobs) / found["seconds"], 1),
                    percentile(first, 0.5), percentile(first, 0.99), percentile(between, 0.5), percentile(between, 0.99),
                    c["lost"], c["another's"], right, c["parts from it"], c["malformed, not refused"], grown,
                ]
            )  # fmt: skip
            print(*rows[-1], dict(c), sep="\t", flush=True)
            print(*seen.faults[:5], sep="\n", file=sys.stderr)
            ours_broken = c["lost"] or c["another's"] or c["malformed, not refused"] or not all(found["after"])
            if server.startswith("inkstone") and ours_broken:
                broken = True
            if not all(found["after"]):
                notes.append(
                    f"{server}: {found['after'].count(False)} of {len(found['after'])} solo answers differ afterwards"
                )
    write_result(
        options.out,
        question="Does a server under load lose, mix up or slow down what it is asked?",
        columns=[
            "server", "tokens/s", "requests/s", "first token, ms, median", "first token, ms, 99 %", "between tokens, ms, median",
            "between tokens, ms, 99 %", "lost", "another's answer", "as alone", "parted by rounding", "malformed, not refused",
            "memory grown, MB",
        ],
        rows=rows,
        notes=[
            f"{options.shape}, {weights / 1e6:.1f} M random weights; {options.clients} clients, {options.requests} requests, a tenth cut off, "
            f"a tenth malformed; {options.slots} texts at once, {options.threads} threads; llama.cpp in {options.llama_form}",
            "clients and server share the machine; tokens of texts that were cut off are not counted",
            *notes,
        ],
    )  # fmt: skip
    if broken:
        sys.exit("a server of ours lost, mixed up or let through what it must not")


if __name__ == "__main__":
    main()
