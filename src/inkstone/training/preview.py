"""What the planner would choose for so much text and so many minutes, before anything is read or learned.

The rules are those of the planner (`planner.py`, `sizing.py`). What only a run can know is estimated: tokens by the bytes of a token, and the time that
is left for training by what each stage before and after it takes. The speed is that of real steps of the shape, timed on made-up text: the products of a
small model reach a small share of what the machine multiplies at best.
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from inkstone.models import family
from inkstone.models.base import CountedModel
from inkstone.recipe import Recipe, with_settings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.shards import write_shards
from inkstone.training.machine import Machine
from inkstone.training.planner import GIVEN, Choice, choose_readings, choose_steps, plan_vocabulary
from inkstone.training.preparing import (
    CLEANING_RATE,
    CLEANING_SHARE,
    MOST_CLEANERS,
    bytes_to_learn_from,
    usable_bytes,
)
from inkstone.training.pretraining import DEFAULT_MINUTES, check, left_for_training, seconds_of_trial
from inkstone.training.sizing import budget, dropout_for, fixed_shape, refuse_too_large, shape_for
from inkstone.training.timing import Pace, fastest_pace

START = 4.0  # seconds until a run has begun and has measured this machine
TOKENIZER_SHARE = 0.05  # of the time, where there is as much text as a tokenizer learns from
TOKENISING_RATE = 1e6  # bytes a second on each core
TRIAL = 0.7  # seconds that steps are timed
TRIAL_WORDS = 100_000  # of the text that they read


def preview(
    train_bytes: int,
    minutes: float | None,
    machine: Machine,
    settings: Sequence[str] = (),
    counted: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """The choices with their reasons, and what they should come to; `counted` is how many tokens the text has of a vocabulary of
    some size, where that is known.

    Raises RecipeError for settings that cannot hold.
    """
    recipe = checked_recipe(minutes, settings)
    train = recipe.train
    minutes = train.minutes or (None if train.steps else DEFAULT_MINUTES)
    seconds = None
    if train.steps is None and minutes is not None:
        seconds = seconds_for_training(recipe, train_bytes, machine, 60 * minutes)
    vocabulary = plan_vocabulary(recipe, train_bytes, seconds, machine)
    bytes_each = bytes_of_token(vocabulary.value)
    tokens = train_bytes / bytes_each
    if counted is not None:
        tokens = counted[0] * bytes_of_token(counted[1]) / bytes_each
    tokens = max(1, round(tokens))
    choices, predicted = [vocabulary], {"tokens_of_text": tokens}
    if issubclass(family(recipe.model.family), CountedModel):
        return {"choices": [vars(choice) for choice in choices], "predicted": predicted, "minutes": minutes}
    settings_of_model, why = shape_for(recipe, vocabulary.value, budget(machine, seconds), tokens)
    refuse_too_large(settings_of_model, machine)
    layers = getattr(settings_of_model, "n_layers", 1)
    why = GIVEN if fixed_shape(recipe.model) else why
    choices.append(Choice("width × layers", f"{settings_of_model.width} × {layers}", why))
    why = GIVEN if recipe.model.context else f"fits width {settings_of_model.width}"
    choices.append(Choice("context", settings_of_model.context, why))
    if train.dtype == "auto":
        rates = machine.matmul_gflops
        reason = f"measured here: {rates['float32']:.0f} GFLOP/s in float32, {rates.get('bfloat16', 0):.0f} in bfloat16"
        choices.append(Choice("number format", machine.dtype, reason))
    train.device = machine.device
    choices += choose_steps(recipe, settings_of_model, budget(machine, seconds), tokens)
    assert train.batch_tokens is not None
    if seconds is None:
        read = (train.steps or 0) * train.batch_tokens
    else:
        pace = pace_of_steps(recipe, settings_of_model, machine)
        read = int(pace.tokens_per_second * seconds)
        predicted["tokens_per_second"] = int(pace.tokens_per_second)
        if worth := choose_readings(pace.weights, tokens, train.batch_tokens, read // train.batch_tokens):
            read = worth.value * train.batch_tokens
            choices.append(worth)
    predicted |= {"tokens": read, "steps": max(1, read // train.batch_tokens), "epochs": read / tokens}
    if recipe.model.dropout is None and hasattr(settings_of_model, "dropout") and dropout_for(predicted["epochs"]):
        why = f"the text will be read {predicted['epochs']:.1f} times"
        choices.append(Choice("dropout", dropout_for(predicted["epochs"]), why))
    return {"choices": [vars(choice) for choice in choices], "predicted": predicted, "minutes": minutes}


def bytes_of_token(vocabulary: int) -> float:
    """Of text. From novels in English and in Chinese and from English prose on Python, at 512 to 8,192 tokens, give or take 15 %."""
    return min(5.0, 2.05 + 0.51 * math.log2(vocabulary / 512))


def seconds_for_training(recipe: Recipe, train_bytes: int, machine: Machine, total: float) -> float:
    """Of the seconds of a run those that its steps will have, a second at least."""
    cores = min(machine.cores, MOST_CLEANERS)
    read = min(train_bytes, usable_bytes(recipe, machine, total))
    before = START + min(CLEANING_SHARE * total, read / (CLEANING_RATE * cores)) + read / (TOKENISING_RATE * cores)
    if not recipe.tokenizer.path:
        before += TOKENIZER_SHARE * total * min(1.0, read / bytes_to_learn_from(total))
    left = left_for_training(total - before)
    return max(1.0, left - seconds_of_trial(left))


def pace_of_steps(recipe: Recipe, settings: Any, machine: Machine) -> Pace:
    """How fast steps of this shape are on this machine, by trial; those of other threads of this process slow them down."""
    chosen, before = recipe.model_copy(deep=True), torch.get_num_threads()
    train = chosen.train
    assert train.batch_tokens is not None
    train.device, train.compile = machine.device, bool(train.compile)
    train.dtype = machine.dtype if train.dtype == "auto" else train.dtype  # type: ignore[assignment]
    text = " ".join(map(str, range(TRIAL_WORDS)))
    tokenizer = learn_tokenizer([text], "byte-bpe", 300)
    torch.set_num_threads(train.threads or machine.threads)
    try:
        with tempfile.TemporaryDirectory(prefix="inkstone-trial-") as folder:
            shards = write_shards([[text]], tokenizer, Path(folder) / "shards")
            rows = max(1, train.batch_tokens // settings.context)
            return fastest_pace(chosen, settings, tokenizer, shards, rows, TRIAL)
    finally:
        torch.set_num_threads(before)


def checked_recipe(minutes: float | None, settings: Sequence[str]) -> Recipe:
    """The recipe of so many minutes with these settings. Raises RecipeError for what cannot hold."""
    recipe = with_settings(Recipe(), settings)
    if minutes is not None:
        recipe = with_settings(recipe, [f"train.minutes={minutes}"], "minutes")
    check(recipe)
    return recipe
