"""The planner: minutes in, every choice out, each with its reason.

It counts the text and measures the machine, and picks vocabulary, depth, width, context, batch and learning rates by the
rules of `sizing`, so that bits per byte on held-out text is as low as it can be when the time is up. Each choice can be
overridden in the recipe.
"""

import math
import time
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from inkstone.models import family
from inkstone.progress import human_bytes, human_count, human_time
from inkstone.recipe import Recipe
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.machine import Machine
from inkstone.training.muon import fast_format
from inkstone.training.readings import most_steps
from inkstone.training.sizing import (
    adam_rate,
    batch_tokens_for,
    budget,
    dropout_for,
    fixed_shape,
    given_settings,
    optimizer_for,
    refuse_too_large,
    shape_for,
    start_for,
    vocabulary_for,
)
from inkstone.training.timing import fastest_pace

MUON_RATE = 0.02  # of the matrices
GIVEN = "given in the recipe"


@dataclass
class Choice:
    """One decision and its reason."""

    name: str
    value: Any
    why: str


@dataclass
class Plan:
    """A resolved recipe, why it is so, and what it should lead to."""

    recipe: Recipe
    settings: Any  # of the family
    choices: list[Choice]
    predicted: dict[str, float]
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        """As facts of the run."""
        return {
            "minutes": self.recipe.train.minutes,
            "seconds_for_training": self.seconds,
            "settings": vars(self.settings),
            "choices": [vars(choice) for choice in self.choices],
            "predicted": self.predicted,
        }


def plan_vocabulary(recipe: Recipe, train_bytes: int, seconds: float | None, machine: Machine) -> Choice:
    """How many tokens the tokenizer should have; it is learned before the rest can be planned."""
    if recipe.tokenizer.vocab_size is not None:
        return Choice("vocabulary", recipe.tokenizer.vocab_size, GIVEN)
    size, bound = vocabulary_for(budget(machine, seconds), train_bytes)
    span = "a fixed number of steps" if seconds is None else human_time(seconds)
    return Choice("vocabulary", size, f"{human_bytes(train_bytes)} of text, {span}: bounded by {bound}")


def make_plan(
    recipe: Recipe,
    shards: TokenShards,
    tokenizer: Tokenizer,
    machine: Machine,
    seconds: float | None,
    trial: float = 3.0,
) -> Plan:
    """Choose everything that the recipe leaves open; about `trial` seconds go into timing real steps of the shape."""
    begin = time.perf_counter()
    settings, why = shape_for(recipe, tokenizer.vocab_size, budget(machine, seconds), shards.n_tokens)
    refuse_too_large(settings, machine)
    why = GIVEN if fixed_shape(recipe.model) else why
    choices = [
        Choice("width × layers", f"{settings.width} × {getattr(settings, 'n_layers', 1)}", why),
        Choice("context", settings.context, GIVEN if recipe.model.context else f"fits width {settings.width}"),
    ]
    return plan_of_shape(recipe, settings, choices, shards, tokenizer, machine, seconds, trial, begin)


def plan_of_shape(
    recipe: Recipe,
    settings: Any,
    choices: list[Choice],
    shards: TokenShards,
    tokenizer: Tokenizer,
    machine: Machine,
    seconds: float | None,
    trial: float,
    begin: float,
    share: float = 1.0,
) -> Plan:
    """The choices of number format, steps and speed for a model of these settings; the `choices` before them were made.

    `begin` is the moment from which planning counts; `share` is the part of what is read that comes from `shards`.
    """
    resolved = recipe.model_copy(deep=True)
    train = resolved.train
    if train.dtype == "auto":
        rates = machine.matmul_gflops
        train.dtype = machine.dtype  # type: ignore[assignment]
        reason = f"measured here: {rates['float32']:.0f} GFLOP/s in float32, {rates.get('bfloat16', 0):.0f} in bfloat16"
        choices.append(Choice("number format", train.dtype, reason))
    train.device, train.threads, train.compile = machine.device, machine.threads, bool(train.compile)
    choices += choose_steps(resolved, settings, budget(machine, seconds), shards.n_tokens)
    rows_in_step = train.batch_tokens // settings.context
    if train.steps is None:
        trained = settings
        if recipe.model.dropout is None and hasattr(settings, "dropout"):
            trained = replace(settings, dropout=0.1)
        fewer = machine.device == "cpu" and recipe.train.threads is None and machine.threads > 1
        most = machine.threads if fewer else None
        pace = fastest_pace(resolved, trained, tokenizer, shards, rows_in_step, trial, most)
        if pace.why_threads:
            train.threads = pace.threads
            choices.append(Choice("threads", pace.threads, pace.why_threads))
        rows, speed = pace.rows, pace.tokens_per_second
        seconds = max(1.0, (seconds or 0.0) - (time.perf_counter() - begin))
        steps = int(speed * seconds / (rows_in_step * settings.context))
        if worth := choose_readings(pace.weights, shards.n_tokens, share * rows_in_step * settings.context, steps):
            steps = worth.value
            choices.append(worth)
        predicted: dict[str, float] = {"tokens_per_second": speed, "steps": steps}
    else:
        rows, seconds = rows_in_step, None
        predicted = {"steps": train.steps}
    if train.micro_batch_tokens is not None:
        rows = max(1, min(rows_in_step, train.micro_batch_tokens // settings.context))
    while rows_in_step % rows:
        rows -= 1
    train.micro_batch_tokens = rows * settings.context
    predicted["tokens"] = predicted["steps"] * rows_in_step * settings.context
    predicted["epochs"] = share * predicted["tokens"] / shards.n_tokens
    if recipe.model.dropout is None and hasattr(settings, "dropout"):
        settings = replace(settings, dropout=dropout_for(predicted["epochs"]))
        if settings.dropout:
            why = f"the text will be read {predicted['epochs']:.1f} times"
            choices.append(Choice("dropout", settings.dropout, why))
    resolve(resolved, settings)
    return Plan(resolved, settings, choices, predicted, seconds)


def plan_counts(
    recipe: Recipe, shards: TokenShards, tokenizer: Tokenizer, machine: Machine, seconds: float | None
) -> Plan:
    """The plan of a family that is counted, not learned by gradient: only its settings are to be chosen."""
    resolved = recipe.model_copy(deep=True)
    kind = family(recipe.model.family)
    given = given_settings(recipe)
    settings = kind.Settings.for_text(tokenizer.vocab_size, shards.n_tokens, **given)
    why = f"for {human_count(shards.n_tokens, 'tokens')} of text"
    choices = [
        Choice(field.name, getattr(settings, field.name), GIVEN if field.name in given else why)
        for field in fields(settings)
        if field.name in type(recipe.model).model_fields
    ]
    resolved.train.device, resolved.train.threads = "cpu", machine.threads
    resolve(resolved, settings)
    return Plan(resolved, settings, choices, {"tokens": shards.n_tokens, "epochs": 1.0}, seconds)


def resolve(recipe: Recipe, settings: Any) -> None:
    """Write the settings of the model into the recipe."""
    for field in fields(settings):
        if field.name in type(recipe.model).model_fields:
            setattr(recipe.model, field.name, getattr(settings, field.name))
    recipe.tokenizer.vocab_size = settings.vocab_size


def choose_steps(recipe: Recipe, settings: Any, work: float, tokens: int) -> list[Choice]:
    """Fill in what one step is: tokens, optimiser, learning rates, and where the weights begin."""
    train = recipe.train
    choices = []
    if train.steps is not None:
        work = train.steps * (train.batch_tokens or 1024) * settings.flops_per_token()
    why = GIVEN if train.batch_tokens else "few for a short run: the number of steps counts for more"
    wanted = train.batch_tokens or batch_tokens_for(work, settings.context, tokens)
    train.batch_tokens = batch_tokens = max(1, wanted // settings.context) * settings.context
    choices.append(Choice("tokens a step", train.batch_tokens, why))
    if train.optimizer == "auto":
        # Of a run of so many steps, which is to be the same anywhere, the processor decides nothing.
        quick = train.steps is None and fast_format(train.device) == torch.bfloat16
        products = "cuda" if train.device.startswith("cuda") else "bfloat16" if quick else "float32"
        name, why = optimizer_for(settings, batch_tokens, products)
        train.optimizer = name  # type: ignore[assignment]
        choices.append(Choice("optimiser", name, why))
    muon = train.optimizer == "muon"
    why = GIVEN if train.learning_rate else f"{train.optimizer} at width {settings.width}"
    train.learning_rate = train.learning_rate or (MUON_RATE if muon else adam_rate(settings.width))
    train.scalar_learning_rate = train.scalar_learning_rate or adam_rate(settings.width)
    train.weight_decay = 0.0 if train.weight_decay is None else train.weight_decay
    train.averaging = train.averaging or 0.0
    choices.append(Choice("learning rate", round(train.learning_rate, 5), why))
    start = start_for(recipe, settings.vocab_size)
    if train.start == "auto":
        why = "counting them takes seconds, learning them takes minutes"
        if train.vectors:
            why = f"but words of the embedding, which begin at {train.vectors}"
        elif start != "bigrams":
            why = "the family, the vocabulary or the layout does not allow counted weights"
        choices.append(Choice("start of the weights", start, why))
    train.start = start  # type: ignore[assignment]
    return choices


def choose_readings(weights: int | None, tokens: int, tokens_a_step: float, steps: int) -> Choice | None:
    """As many steps as a text of so many tokens is worth, where time would allow more (`readings.py`)."""
    if weights is None or (most := most_steps(weights, tokens, tokens_a_step)) >= steps:
        return None
    times = most * tokens_a_step / tokens
    return Choice("steps at most", most, f"the text is read {times:.1f} times by then; more would be learned by heart")


def predict_bits_per_byte(begin: float, start: str, work: float, epochs: float) -> float:
    """What held-out text should cost in the end, from what it costs at the first step (`begin`, in bits per byte).

    The share that remains falls as a small power of the work. The constants rest on few runs, of 2 to 8 · 10¹² operations, on
    English and Chinese text: from counted bigrams 0.84 of the beginning remained at 2.5 · 10¹² operations and 0.82 at
    6 · 10¹², so the figure is rough. Work on text that is read again counts less (Muennighoff et al. 2023).
    """
    new = 1.0 if epochs <= 1 else (1 + 15 * (1 - math.exp(-(epochs - 1) / 15))) / epochs
    share, power = (0.841, 0.0345) if start == "bigrams" else (0.633, 0.08)
    return round(begin * min(1.0, share * (max(work, 1.0) * new / 2.5e12) ** -power), 3)
