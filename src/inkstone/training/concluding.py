"""The end of a run: the score, the samples, the outcome, the report."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil
from torch import nn

from inkstone.evaluation.affordable import affordable
from inkstone.evaluation.evaluate import evaluate
from inkstone.evaluation.report import report as write_report
from inkstone.inference.generation import generate
from inkstone.models.base import CountedModel, LanguageModel
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.tokens.shards import TokenShards

SCORING_SHARE = 0.06  # of the time, for the final score
YARDSTICK_RATE = 7_000  # bytes of training text for each second of training, which xz reads twice at about 1 MB/s
YARDSTICK_BYTES = 4 << 20  # at most


def conclude(
    run: Run,
    recipe: Recipe,
    model: nn.Module,
    shards: TokenShards,
    held_out: TokenShards,
    line: LiveLine,
    elapsed: Callable[[], float],
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Score the model, let it write, and record what came of the run; `elapsed` tells the seconds that it has cost.

    `beside` is what the outcome holds beside that.
    """
    model = model.eval()
    if not isinstance(model, CountedModel):  # those keep the precision that they were counted in
        model = model.float()
    facts = run.facts()
    training = facts["training"]
    reading = SCORING_SHARE * training["seconds"] * training["tokens_per_second"] * 1.5
    scored: dict[str, Any] = {}
    if recipe.train.steps is None:
        scored = affordable(model, reading, held_out.n_tokens)
    train_limit = min(YARDSTICK_BYTES, 100_000 + int(YARDSTICK_RATE * training["seconds"]))
    line.show("scoring held-out text", force=True)
    begin = time.perf_counter()
    figures = evaluate(model, held_out, shards, **scored, train_limit=train_limit)  # type: ignore[arg-type]
    evaluated = time.perf_counter() - begin
    line.show("writing samples", force=True)
    samples = sample(model, held_out)  # type: ignore[arg-type]
    outcome = {
        "folder": str(run.folder),
        "bits_per_byte": figures["bits_per_byte"],
        "low": figures["low"],
        "high": figures["high"],
        "yardsticks": figures["yardsticks"],
        "parameters": training["parameters"],
        "steps": training["steps"],
        "tokens": training["tokens"],
        "sample": samples[0]["text"] if samples else "",
        "seconds": elapsed(),
        **(beside or {}),
    }
    if "likelihood" in figures:
        outcome["likelihood"] = figures["likelihood"]
    process = psutil.Process()
    cost = {
        "wall_seconds": {
            **facts.get("preparation", {}),
            "train": training["seconds"],
            "evaluate": evaluated,
            "total": elapsed(),
        },
        "cpu_seconds": sum(process.cpu_times()[:2]),
        "peak_memory_bytes": peak_memory(),
    }
    run.record(evaluation=figures, samples=samples, cost=cost, outcome=outcome)
    write_report(run.folder)
    line.clear()


def sample(model: LanguageModel, held_out: TokenShards, tokens: int = 120) -> list[dict[str, Any]]:
    """What the model writes from nothing, and how it goes on with the beginnings of held-out documents."""
    tokenizer = model.tokenizer
    document = next(iter(held_out.documents()))
    beginnings = (tokenizer.decode(ids.tolist()).strip("\ufffd") for ids in (document[:16], document[-48:-32]))
    prompts = ["", *beginnings]  # a token may end inside a character; a prompt does not
    samples = []
    for seed, prompt in enumerate(dict.fromkeys(prompts)):
        (written,) = generate(model, prompt, max_tokens=tokens, temperature=0.8, top_p=0.95, seed=seed)
        # What is drawn from nothing may begin inside a character, too.
        text = written.text if prompt else written.text.lstrip("\ufffd")
        samples.append({"prompt": prompt, "text": text, "temperature": 0.8, "top_p": 0.95, "seed": seed})
    return samples


def peak_memory() -> int:
    """Bytes of memory that this process held at most."""
    try:
        import resource
    except ImportError:
        return psutil.Process().memory_info().rss
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
