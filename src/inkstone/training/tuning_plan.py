"""The choices of tuning: vocabulary and shape of a body from the start, context, learning rate, how long.

What is tuned from the start learns from few examples, so that its shape follows their number and not the machine's speed; the
minutes bound how often they are read.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from inkstone.errors import RecipeError
from inkstone.models import body_family
from inkstone.models.base import CarriesState, NextTokenModel
from inkstone.models.headed import Headed, ReadsBothWays, ReadsFeatures, ReadsUnits
from inkstone.models.whisper import Whisper
from inkstone.recipe import Recipe
from inkstone.tasks.base import Task
from inkstone.tasks.predict import to_device
from inkstone.tokens.example_batches import Encoded, ExampleBatches
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.optimisers import Optimisers
from inkstone.training.planner import GIVEN, Choice
from inkstone.training.threads import (
    FAR_FASTER,
    FASTER,
    chosen_threads,
    products_by_threads,
    steps_by_threads,
    told,
)

LONGEST_CONTEXT = 512  # of a body from the start
SHORTEST_CONTEXT = 16
COVERED = 0.99  # share of the texts that the context holds whole
LARGEST_VOCABULARY = 16_384
BYTES_OF_WORD = 120  # of training text for each entry of the vocabulary
SHAPES = ((128, 2), (192, 3), (256, 4))  # (width, layers) from few examples to many
EXAMPLES_FOR = (50_000, 500_000)  # from which on the next shape is taken
FRESH_RATE = 1e-3  # of AdamW at width 128
WARM_UP = 3  # steps on a GPU, whose programs are loaded when they are first asked for
TUNED_DROPOUT = 0.1  # of a body that was trained without
TUNED_RATE = 3e-4  # of a body that knows something already, at width 128


def vocabulary_for_examples(texts: Sequence[str], kind: str) -> int:
    """Entries of a tokenizer of this kind that is learned from the examples alone; of characters all that occur twice."""
    if kind == "character":
        return LARGEST_VOCABULARY
    size = sum(len(text.encode()) for text in texts)
    return int(min(LARGEST_VOCABULARY, max(512, 2 ** round(math.log2(max(1, size / BYTES_OF_WORD))))))


def fresh_body(recipe: Recipe, family: str, tokenizer: Tokenizer, examples: int, context: int) -> Any:
    """A body of this family with fresh weights, its shape by the number of examples where the recipe leaves it open."""
    kind = body_family(family)
    if not hasattr(kind.Settings, "of_size"):
        raise RecipeError(f"a model of the family {family!r} is counted and cannot be tuned; choose another family")
    given = recipe.model.model_dump(exclude_none=True, exclude={"family"})
    known = {field.name for field in fields(kind.Settings)}
    if unknown := given.keys() - known:
        raise RecipeError(f"model.{min(unknown)}: a body of the family {family!r} has no such setting")
    width, layers = SHAPES[sum(examples >= bound for bound in EXAMPLES_FOR)]
    defaults = {name: value for name, value in (("context", context), ("dropout", 0.2)) if name in known}
    if getattr(kind.Settings, "dropout", 0.0):  # the family knows better
        del defaults["dropout"]
    settings = kind.Settings.of_size(tokenizer.vocab_size, width, layers, **{**defaults, **given})
    body = kind(settings, tokenizer).initialise(torch.Generator().manual_seed(recipe.train.seed))
    return body_that_fits(body)


def body_that_fits(model: Any, task: str = "") -> Any:
    """The model, if a head can stand on it. Raises RecipeError otherwise."""
    if isinstance(model, Headed):
        return model.body
    if isinstance(model, Whisper):
        if task == "transcribe":
            return model
        raise RecipeError(
            "a Whisper reads sound; tune it on recordings: inkstone tune transcribe DATA --from CHECKPOINT"
        )
    if not isinstance(model, ReadsBothWays | ReadsUnits | ReadsFeatures | NextTokenModel):
        raise RecipeError(
            f"a model of the family {model.family!r} cannot be tuned for this task; take an encoder, decoder, recurrent or "
            "convolutional one"
        )
    if isinstance(model, CarriesState):
        model.restore_carried({})
    return model


def with_dropout(body: Any, given: float | None) -> tuple[Any, list[Choice]]:
    """The same weights in a body that drops a share of its states while it learns, where the family can, and the choice of it.

    It is the share that is `given`, or the one that the model was trained with. Of one that was trained without, as on a great
    deal of text, it is `TUNED_DROPOUT`: the examples are few and are read many times.
    """
    settings = body.settings
    if not hasattr(settings, "dropout"):
        return body, []
    if given is not None:
        dropout, why = given, GIVEN
    elif settings.dropout > 0:
        dropout, why = settings.dropout, "as it was trained"
    else:
        dropout, why = TUNED_DROPOUT, "it was trained without, on more text than there is now"
    if dropout != settings.dropout:
        other = type(body)(replace(settings, dropout=dropout), body.tokenizer)
        other.load_state_dict(body.state_dict())
        body = other.to(next(body.parameters()).device)
    return body, [Choice("dropout", dropout, why)]


def context_for_texts(lengths: Sequence[int], extra: int, longest: int, covered: float = COVERED) -> int:
    """Tokens that hold a share of the texts whole, the `extra` special ones included, a multiple of 16."""
    wanted = float(np.quantile(lengths, covered)) + extra
    return int(min(longest, max(SHORTEST_CONTEXT, 16 * math.ceil(wanted / 16))))


def learning_rate_for(body: Any, fresh: bool) -> float:
    """AdamW's rate falls as the width grows: as its root from the start, in proportion where weights are tuned.

    A body may have a rate of its own from the start, `fresh_rate`.
    """
    width = body.settings.width
    if fresh and hasattr(body, "fresh_rate"):
        return body.fresh_rate
    return FRESH_RATE * min(1.0, (128 / width) ** 0.5) if fresh else TUNED_RATE * min(1.0, 128 / width)


def threads_for_products(most: int) -> tuple[int, list[Choice]]:
    """The threads to begin with, at most so many, and the choice where it is fewer, as on a machine that has other work."""
    tried = products_by_threads(most, SHAPES[-1][0])
    threads = chosen_threads(tried, FAR_FASTER)
    torch.set_num_threads(threads)
    return threads, [Choice("threads", threads, told("a product", tried))] if threads < most else []


def plan_steps(
    recipe: Recipe,
    task: Task,
    model: Headed,
    inputs: Sequence[Encoded],
    seconds: float | None,
    *,
    fewer_threads: bool = False,
    short: bool = False,
    trial: float = 3.0,
) -> tuple[int, float | None, list[Choice]]:
    """Most steps of the run, the seconds that each takes, and the choices in words; steps are timed for about `trial` seconds.

    With `fewer_threads` steps are timed with fewer threads, too, and the faster number is taken, in the recipe as well; with `short`
    in bfloat16, too, and the model is left in what was faster. A run with `train.steps` is not timed, so that nothing measured
    enters it.
    """
    batches = ExampleBatches(inputs, rows=recipe.task.rows, seed=recipe.train.seed, tokens=recipe.train.batch_tokens)
    most = recipe.task.epochs * batches.batches_per_epoch
    if recipe.train.steps is not None:
        return recipe.train.steps, None, [Choice("steps", recipe.train.steps, GIVEN)]
    each, choices = _seconds_of_step(recipe, task, model, batches, fewer_threads, trial)
    if short:
        shorter, chosen = _seconds_in_bfloat16(recipe, task, model, batches, each, trial)
        each, choices = shorter or each, choices + chosen
    affordable = max(1, int((seconds or 0.0) / each))
    steps = min(most, affordable)
    why = (
        f"{recipe.task.epochs} times all examples"
        if steps == most
        else f"what {each * 1e3:.0f} ms a step leave room for"
    )
    return steps, each, [*choices, Choice("steps, at most", steps, why)]


def _seconds_of_step(
    recipe: Recipe, task: Task, model: Headed, batches: ExampleBatches, fewer_threads: bool, trial: float
) -> tuple[float, list[Choice]]:
    """The median over a few steps at the learning rate zero, and the threads if fewer are taken; the weights stay as they are."""
    device = next(model.parameters()).device
    optimisers, generator = Optimisers(model, recipe.train), torch.Generator().manual_seed(0)
    state = torch.get_rng_state()
    model.train()
    times: list[float] = []

    def step() -> None:
        task.loss(model, to_device(batches.batch(len(times)), device), generator).backward()
        optimisers.clip(recipe.train.clip).item()  # which waits for the device
        optimisers.step(0.0)
        optimisers.zero_grad()

    choices = []
    if fewer_threads and (tried := steps_by_threads(step, torch.get_num_threads(), trial)):
        recipe.train.threads = chosen_threads(tried, FASTER)
        torch.set_num_threads(recipe.train.threads)
        if recipe.train.threads < max(tried):
            choices.append(Choice("threads", recipe.train.threads, told("a step", tried)))
    if device.type != "cpu":
        for _ in range(WARM_UP):
            step()
    end = time.perf_counter() + trial
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 12):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    torch.set_rng_state(state)
    return sorted(times)[len(times) // 2], choices


def _seconds_in_bfloat16(
    recipe: Recipe, task: Task, model: Headed, batches: ExampleBatches, each: float, trial: float
) -> tuple[float | None, list[Choice]]:
    """The seconds of a step in bfloat16, in which the model is left, where that is clearly faster than `each`; None elsewhere."""
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.to(torch.bfloat16)
    shorter, _ = _seconds_of_step(recipe, task, model, batches, False, trial)
    told = f"a step takes {shorter * 1e3:.0f} ms in bfloat16, {each * 1e3:.0f} in float32"
    recipe.train.dtype = "bfloat16" if shorter < FASTER * each else "float32"
    choice = [Choice("number format", recipe.train.dtype, told)]
    if recipe.train.dtype == "bfloat16":
        return shorter, choice
    model.to(torch.float32).load_state_dict(kept)
    return None, choice
