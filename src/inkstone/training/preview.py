"""What the planner would choose for so much text and so many minutes, before anything is read, learned or timed.

The rules are those of the planner (`planner.py`, `sizing.py`). What only a run can know is estimated: tokens by the bytes of a token, speed by the share of
the measured products that a step reaches, and the time that is left for training by what preparing and scoring mostly take.
"""

from collections.abc import Sequence
from typing import Any

from inkstone.models import family
from inkstone.models.base import CountedModel
from inkstone.recipe import Recipe, with_settings
from inkstone.training.machine import Machine
from inkstone.training.planner import GIVEN, Choice, choose_steps, plan_vocabulary
from inkstone.training.pretraining import DEFAULT_MINUTES, check
from inkstone.training.sizing import budget, dropout_for, fixed_shape, refuse_too_large, shape_for

SHARE_FOR_TRAINING = 0.75  # of the minutes
BYTES_OF_TOKEN = 3.6  # of text, at the vocabularies of short runs


def preview(
    train_bytes: int, minutes: float | None, machine: Machine, settings: Sequence[str] = (), tokens: int | None = None
) -> dict[str, Any]:
    """The choices with their reasons, and what they should come to; `tokens` is how many the text has, where that is known.

    Raises RecipeError for settings that cannot hold.
    """
    recipe = checked_recipe(minutes, settings)
    train = recipe.train
    minutes = train.minutes or (None if train.steps else DEFAULT_MINUTES)
    seconds = None if train.steps is not None or minutes is None else SHARE_FOR_TRAINING * 60 * minutes
    vocabulary = plan_vocabulary(recipe, train_bytes, seconds, machine)
    tokens = max(1, tokens or int(train_bytes / BYTES_OF_TOKEN))
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
    choices += choose_steps(recipe, settings_of_model, budget(machine, seconds), tokens)
    assert train.batch_tokens is not None
    if seconds is None:
        read = (train.steps or 0) * train.batch_tokens
    else:
        read = int(budget(machine, seconds) / settings_of_model.flops_per_token())
        predicted["tokens_per_second"] = int(read / seconds)
    predicted |= {"tokens": read, "steps": max(1, read // train.batch_tokens), "epochs": read / tokens}
    if recipe.model.dropout is None and hasattr(settings_of_model, "dropout") and dropout_for(predicted["epochs"]):
        why = f"the text will be read {predicted['epochs']:.1f} times"
        choices.append(Choice("dropout", dropout_for(predicted["epochs"]), why))
    return {"choices": [vars(choice) for choice in choices], "predicted": predicted, "minutes": minutes}


def checked_recipe(minutes: float | None, settings: Sequence[str]) -> Recipe:
    """The recipe of so many minutes with these settings. Raises RecipeError for what cannot hold."""
    recipe = with_settings(Recipe(), settings)
    if minutes is not None:
        recipe = with_settings(recipe, [f"train.minutes={minutes}"], "minutes")
    check(recipe)
    return recipe
