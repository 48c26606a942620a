"""How fast does a decoder learn and write on a GPU, and what share of the GPU's peak is that?

    python benchmarks/gpu.py [--shapes qwen3-30m qwen3-124m] [--compiled]

Training: whole steps of the loop's own parts, batches made on the processor and moved, weights in bfloat16, masters in single precision.
Writing: the likeliest tokens, one text by `generate`, and 64 texts at once by the engine, each beside `transformers` with the same
weights in bfloat16, static and dynamic cache. Rows that the machine has no peer for are left out.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inkstone.hub.folder import load
from inkstone.inference.engine import Engine, Request
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling
from inkstone.inference.slotted import slotted
from inkstone.models.decoder import Decoder
from inkstone.recipe import TrainSection
from inkstone.tasks.language_modelling import training_loss
from inkstone.tokens.batches import Batch
from inkstone.training.loop import on_device
from inkstone.training.machine import copy_rate, matmul_rate
from inkstone.training.optimisers import Optimisers
from random_models import SHAPES, random_folder, random_prompts, tokenizer_of
from results import write_result

PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # of bfloat16 products, dense, by the vendor's data sheets
TOKENS_IN_STEP = 32_768
WARM_UP, ROUNDS = 4, 2
COLUMNS = ["what", "weights, M", "program", "tokens/s", "TFLOP/s", "of the peak, %", "memory, GB"]


def peak_of(name: str) -> float | None:
    """Operations a second that the vendor promises; None for a card that is not known here."""
    return next((rate for word, rate in PEAK.items() if word in name), None)


def seconds_of(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Median seconds; the device is done when the clock is read."""
    found = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        work()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def training(shape: str, compiled: bool, context: int, seconds: float) -> tuple[float, float]:
    """Tokens a second of whole steps, and the most memory that they took, in bytes."""
    settings = SHAPES[shape]
    model = Decoder(settings, tokenizer_of(settings.vocab_size)).initialise(torch.Generator().manual_seed(0))
    model = model.to("cuda", torch.bfloat16).train()
    if compiled:
        model.hidden = torch.compile(model.hidden)  # type: ignore[method-assign]
    train = TrainSection(
        optimizer="adamw", learning_rate=1e-3, scalar_learning_rate=1e-3, weight_decay=0.0, averaging=0.0
    )
    optimisers, draw = Optimisers(model, train), np.random.default_rng(0)
    rows = TOKENS_IN_STEP // context
    text = draw.integers(0, settings.vocab_size, 1 << 22)

    def step() -> None:
        begins = draw.integers(0, len(text) - context - 1, rows)
        window = torch.from_numpy(np.stack([text[begin : begin + context + 1] for begin in begins]))
        batch = on_device(Batch(window[:, :-1], window[:, 1:], None), torch.device("cuda"))
        training_loss(model, batch, torch.Generator(), 0.5).backward()
        optimisers.clip(1.0).item()
        optimisers.step(1.0)
        optimisers.zero_grad()

    for _ in range(WARM_UP):
        step()
    torch.cuda.reset_peak_memory_stats()
    each = seconds_of(step)
    many = max(3, int(seconds / each))
    whole = seconds_of(lambda: [step() for _ in range(many)], 1)
    return many * TOKENS_IN_STEP / whole, torch.cuda.max_memory_allocated()


def one_text(model: Decoder, prompt: list[int], tokens: int) -> None:
    """The likeliest tokens after a prompt, none of which ends it."""
    for _ in stream(model, prompt, Sampling(temperature=0, max_tokens=tokens), ends=()):
        pass


def many_texts(model: Decoder, prompts: list[list[int]], tokens: int) -> None:
    """The same of many prompts at once."""
    engine = Engine(slotted(model, len(prompts), model.settings.context), prompt_tokens=8192)
    for prompt in prompts:
        engine.submit(
            Request(tuple(prompt), Sampling(temperature=0, max_tokens=tokens), ends=frozenset()), lambda _: None
        )
    while engine.step():
        pass


def peer_of(folder: Path) -> Callable[[list[list[int]], int, bool], None] | None:
    """What writes so many tokens after prompts by transformers; None where it is not installed."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        return None
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to("cuda").eval()

    def write(prompts: list[list[int]], tokens: int, static: bool) -> None:
        ids = torch.tensor(prompts, device="cuda")
        how: dict[str, Any] = {"cache_implementation": "static"} if static else {}
        with torch.inference_mode():
            model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens,
                pad_token_id=0, **how,
            )  # fmt: skip

    return write


def writing(shape: str, tokens: int, texts: int, static: bool) -> list[list[Any]]:
    """A row for each program: one text, and many at once."""
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as name:
        weights = random_folder(shape, Path(name)) / 1e6
        ours = load(name, device="cuda", dtype=torch.bfloat16)
        assert isinstance(ours, Decoder)
        prompts = random_prompts(texts, 64)
        peer = peer_of(Path(name))
        ways: list[tuple[str, str, int, Callable[[], None]]] = [
            ("writing one text", "inkstone", 1, lambda: one_text(ours, prompts[0], tokens)),
            (
                f"writing {texts} texts at once",
                "inkstone, the engine",
                texts,
                lambda: many_texts(ours, prompts, tokens),
            ),
        ]
        for kind in (False, True) if static else (False,):
            if peer is None:
                continue
            told = "transformers, static cache" if kind else "transformers"
            ways.insert(-1, ("writing one text", told, 1, lambda kind=kind: peer(prompts[:1], tokens, kind)))
            ways.append((f"writing {texts} texts at once", told, texts, lambda kind=kind: peer(prompts, tokens, kind)))
        for what, who, count, work in ways:
            work()
            rows.append([what, round(weights, 1), who, round(count * tokens / seconds_of(work), 1), None, None, None])
            print(*rows[-1], sep="\t", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=["qwen3-30m", "qwen3-124m"])
    parser.add_argument("--seconds", type=float, default=4.0, help="of steps that are timed")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=128, help="of each text that is written")
    parser.add_argument("--texts", type=int, default=64, help="written at once")
    parser.add_argument("--compiled", action="store_true", help="train.compile = true as well")
    parser.add_argument("--static", action="store_true", help="transformers with a static cache as well")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu.json")
    options = parser.parse_args()
    peak = peak_of(torch.cuda.get_device_name())
    products, copies = matmul_rate(torch.bfloat16, "cuda", 0.5), copy_rate("cuda", 0.5)
    rows: list[list[Any]] = []
    for shape in options.shapes:
        settings = SHAPES[shape]
        for compiled in (False, True) if options.compiled else (False,):
            speed, memory = training(shape, compiled, options.context, options.seconds)
            work = speed * settings.flops_per_token(options.context)
            told = "inkstone, compiled" if compiled else "inkstone"
            share = None if peak is None else round(100 * work / peak, 1)
            weights = round(settings.matrix_parameters() / 1e6, 1)
            rows.append(["training", weights, told, round(speed), round(work / 1e12, 1), share, round(memory / 1e9, 1)])
            print(*rows[-1], sep="\t", flush=True)
            gc.collect()
            torch.cuda.empty_cache()
    for shape in options.shapes:
        rows += writing(shape, options.tokens, options.texts, options.static)
        gc.collect()
        torch.cuda.empty_cache()
    write_result(
        options.out,
        question="How fast does a decoder learn and write on a GPU?",
        columns=COLUMNS,
        rows=rows,
        notes=[
            f"Training: steps of {TOKENS_IN_STEP:,} tokens in windows of {options.context}, weights in bfloat16, AdamW; batches are made "
            "and moved while the clock runs. Operations are counted as 6 for each weight of a matrix and each token, and attention.",
            f"Writing: the likeliest tokens, {options.tokens} after prompts of 64, weights in bfloat16; medians of {ROUNDS}.",
            f"The card by the same measurements: {products / 1e12:.0f} TFLOP/s in bfloat16 products, {copies / 1e12:.2f} TB/s of a copy.",
        ],
    )


if __name__ == "__main__":
    main()
