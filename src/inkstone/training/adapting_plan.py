"""The choices of adapting a language model: how many new tokens, what one step reads, and how fast it learns."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from typing import Any

from inkstone.errors import RecipeError
from inkstone.hub.download import local_folder
from inkstone.models.base import CountedModel, LearnsPieces
from inkstone.models.decoder import context_for
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.text.split import Split
from inkstone.tokens.fertility import fertility
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.machine import Machine
from inkstone.training.planner import GIVEN, Choice, Plan, plan_of_shape, resolve
from inkstone.training.preparing import texts_to_learn_from
from inkstone.training.sizing import refuse_too_large, vocabulary_for
from inkstone.training.tuning_plan import learning_rate_for

PEAK = 1.0  # of the learning rate of a model from the start; with half of it new text gains less and old loses as much
MOST_TORN = (
    0.1  # share of tokens that are parts of a character, beyond that in old text: from here on characters are missing
)
LEAST_BYTES = 0.6  # of the bytes that a token spells in old text: where it spells fewer of new text, words are missing
SAMPLE_TEXTS, SAMPLE_CHARACTERS = 200, 20_000  # by which the fit of a tokenizer is told
LONGEST_CONTEXT = 512  # tokens read at once in adapting a checkpoint of others


def new_tokens_for(
    recipe: Recipe, tokenizer: Tokenizer, split: Split, work: float, known: Mapping[str, Any]
) -> tuple[int, str]:
    """How many tokens of the new text the tokenizer should learn at most, and why.

    `work` is what the run can do (`sizing.budget`), `known` what a run recorded of the tokenizer on old text, if there is one.
    """
    asked = recipe.task.extend_tokenizer
    if isinstance(asked, int):
        return asked, GIVEN
    texts = (text[:SAMPLE_CHARACTERS] for text in islice(texts_to_learn_from(split), SAMPLE_TEXTS))
    fit = fertility(tokenizer, texts)
    bytes_per_token = known.get("bytes_per_token")
    torn = fit.byte_tokens - known.get("byte_tokens", 0.0) > MOST_TORN
    short = bytes_per_token is not None and fit.bytes_per_token < LEAST_BYTES * bytes_per_token
    if not torn and not short:
        return 0, "the tokenizer fits the new text"
    if tokenizer.kind == "foreign" and tokenizer.spelling is None:
        return 0, "the tokenizer fits the new text badly, but its kind cannot be extended"
    why = (
        f"{fit.byte_tokens:.0%} of the tokens of the new text are parts of a character"
        if torn
        else f"a token spells {fit.bytes_per_token:.1f} bytes of the new text, and {bytes_per_token:.1f} of the old"
    )
    return vocabulary_for(work, split.train_bytes)[0] // 2, why


def plan_adaptation(
    recipe: Recipe,
    model: Any,
    tokenizer: Tokenizer,
    texts: Sequence[TokenShards],
    machine: Machine,
    seconds: float | None,
) -> Plan:
    """The plan of a run that goes on with `model` on texts: the new one, and where it is known the old one."""
    begin, shards, name = time.perf_counter(), texts[0], str(recipe.task.model)
    vocab_size = max(model.settings.vocab_size, tokenizer.vocab_size)
    if isinstance(model, CountedModel):
        return _plan_of_counts(recipe, model, vocab_size, texts, machine, seconds)
    context, why = context_to_read(recipe, model)
    shape = replace(model.settings, vocab_size=vocab_size, context=context)
    if getattr(shape, "rotary_scaling", None) is not None:  # costs nothing, and JSON cannot hold it
        shape = replace(shape, rotary_scaling=None)
    refuse_too_large(shape, machine)
    recipe, ours = recipe.model_copy(deep=True), Run(local_folder(name)).recipe_path.exists()
    given = recipe.train.learning_rate is not None
    if not ours:  # such models were trained with AdamW, at rates that fall to near nothing
        recipe.train.optimizer = "adamw" if recipe.train.optimizer == "auto" else recipe.train.optimizer
        rate = learning_rate_for(model, fresh=False)
        recipe.train.learning_rate = recipe.train.learning_rate or rate
        recipe.train.scalar_learning_rate = recipe.train.scalar_learning_rate or rate
    choices = [
        Choice("model", name, f"{model.family}, {model.settings.width} wide, as it was trained"),
        Choice("context", context, why),
    ]
    replay = recipe.task.replay or 0.0
    if len(texts) > 1:
        choices.append(Choice("replay", replay, "share of old text in what is read"))
    trial = min(5.0, 0.02 * seconds) if seconds is not None else 0.0
    plan = plan_of_shape(recipe, shape, choices, shards, tokenizer, machine, seconds, trial, begin, share=1 - replay)
    train = plan.recipe.train
    if not given and ours:
        train.learning_rate = PEAK * (train.learning_rate or 0.0)
        train.scalar_learning_rate = PEAK * (train.scalar_learning_rate or 0.0)
    train.start = "auto"  # neither at chance nor at counts
    plan.choices = [choice for choice in plan.choices if choice.name != "start of the weights"]
    for choice in plan.choices:
        if choice.name == "learning rate" and not given:
            choice.value, choice.why = (
                round(train.learning_rate or 0.0, 5),
                f"{choice.why}; it rises again and falls again",
            )
            if not ours:
                choice.why = "low, for a checkpoint of others; it rises again and falls again"
    return plan


def context_to_read(recipe: Recipe, model: Any) -> tuple[int, str]:
    """Tokens that are read at once, and why so many. Raises RecipeError for more than a model with learned positions has."""
    own, wanted = model.settings.context, recipe.model.context
    if wanted is None:
        if isinstance(model, LearnsPieces):
            return own, "as it was trained"
        longest = max(LONGEST_CONTEXT, context_for(model.settings.width))
        return min(
            own, longest
        ), "as it was trained" if own <= longest else "shorter than it could be: longer costs time"
    if wanted > own and any(getattr(model, name, None) is not None for name in ("positions", "source_positions")):
        raise RecipeError(f"model.context = {wanted}, but the model has learned positions for {own} tokens")
    return wanted, GIVEN


def _plan_of_counts(
    recipe: Recipe, model: Any, vocab_size: int, texts: Sequence[TokenShards], machine: Machine, seconds: float | None
) -> Plan:
    settings = replace(model.settings, vocab_size=vocab_size)
    resolved = recipe.model_copy(deep=True)
    resolved.train.device, resolved.train.threads = "cpu", machine.threads
    resolve(resolved, settings)
    why = "as the model has it, counted anew from old and new text"
    choices = [
        Choice(field.name, getattr(settings, field.name), why)
        for field in fields(settings)
        if field.name in type(recipe.model).model_fields
    ]
    tokens = sum(shards.n_tokens for shards in texts)
    return Plan(resolved, settings, choices, {"tokens": tokens, "epochs": 1.0}, seconds)
