"""Timing real steps of a shape, to know its speed, how many threads to use and how many windows one pass should hold."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import torch

from inkstone.models import family
from inkstone.models.base import LearnsPieces
from inkstone.recipe import Recipe
from inkstone.tasks.language_modelling import training_loss
from inkstone.tokens.batches import Batch, PackedBatches
from inkstone.tokens.piece_batches import PieceBatches
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.loop import on_device
from inkstone.training.optimisers import Optimisers
from inkstone.training.readings import weights_that_repeat
from inkstone.training.threads import (
    FAR_FASTER,
    FASTER,
    chosen_threads,
    products_by_threads,
    steps_by_threads,
    told,
)


@dataclass(frozen=True)
class Pace:
    """How training goes fastest here, and how fast that is."""

    rows: int  # windows of a pass
    threads: int
    tokens_per_second: float
    why_threads: str  # empty where no other number was tried
    weights: int | None  # of the model, where readings of the same text teach it the same


def fastest_pace(
    recipe: Recipe,
    settings: Any,
    tokenizer: Tokenizer,
    shards: TokenShards,
    rows_in_step: int,
    seconds: float,
    threads: int | None = None,
) -> Pace:
    """How many windows a pass should hold, and the tokens a second that a step of `rows_in_step` windows then reaches.

    Fewer windows stay in the processor's cache, more use it fully; which is faster differs from machine to machine.
    threads: the most that may be used, where fewer are to be tried; None leaves the number as it is.
    """
    end, why = time.perf_counter() + seconds, ""
    if threads is not None:
        # Of products first: on a busy machine a whole step with all threads could take longer than all of the trial.
        most, products = threads, products_by_threads(threads, settings.width)
        threads = chosen_threads(products, FAR_FASTER)
        why = told("a product", products) if threads < most else ""
        torch.set_num_threads(threads)
    model = family(recipe.model.family)(settings, tokenizer).initialise(torch.Generator().manual_seed(0))
    step = _step(model, recipe, settings, shards, rows_in_step)
    options = sorted({rows_in_step // parts for parts in (1, 2, 4) if rows_in_step % parts == 0}, reverse=True)
    step(options[0])  # the first one also warms up
    if threads is not None:
        steps = steps_by_threads(lambda: step(options[0]), threads, (end - time.perf_counter()) / 2)
        if steps:
            threads, why = chosen_threads(steps, FASTER), told("a step", steps)
        torch.set_num_threads(threads)
    times: dict[int, list[float]] = {rows: [] for rows in options}
    while time.perf_counter() < end or not all(times.values()):
        for rows in options:
            begin = time.perf_counter()
            step(rows)
            times[rows].append(time.perf_counter() - begin)
        if time.perf_counter() > end + seconds:
            break
    typical = {rows: median(found) for rows, found in times.items() if found}
    best = min(typical, key=lambda rows: typical[rows])
    speed = rows_in_step * settings.context / typical[best]
    return Pace(best, threads or torch.get_num_threads(), speed, why, weights_that_repeat(model))


def _step(model: Any, recipe: Recipe, settings: Any, shards: TokenShards, rows_in_step: int) -> Callable[[int], None]:
    train = recipe.train
    model = model.to(train.device, torch.bfloat16 if train.dtype == "bfloat16" else torch.float32)
    optimisers, generator = Optimisers(model, train), torch.Generator().manual_seed(0)
    device = next(model.parameters()).device

    @cache
    def stream(rows: int) -> Iterator[Batch]:
        if isinstance(model, LearnsPieces):  # its batches are of different lengths, so several must be seen
            batches = PieceBatches(shards, model.piece_ends, context=settings.context, rows=rows, seed=0)
        else:
            batches = PackedBatches(shards, context=settings.context, rows=rows, seed=0)
        return map(batches.batch, itertools.count())

    def step(rows: int) -> None:
        for batch in itertools.islice(stream(rows), rows_in_step // rows):
            training_loss(model, on_device(batch, device), generator, 0.5).backward()
        optimisers.clip(train.clip).item()
        optimisers.step(0.0)
        optimisers.zero_grad()

    return step
