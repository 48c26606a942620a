"""A decoder with rotary positions for texts longer than those it was trained on, by other frequencies and the same weights.

Positions beyond the trained ones turn the slow pairs of a head to angles that were never met. Three ways to stay among those that
were, n times as far (`layers/rotary.py`):

- "linear" divides all frequencies by n: what was told apart by one position now is by 1/n of one (Chen et al. 2023).
- "ntk" raises θ, so that the slowest pair turns n times more slowly and the fastest as before. It is written as another θ, which
  every program reads.
- "yarn" leaves the fast pairs, divides the slow ones, and sharpens attention a little (Peng et al. 2023).

None of them learns anything. A model that is then trained a little on long texts does far better; without that, expect texts
that stay sensible, and little use of what is far.
"""

import copy
from dataclasses import replace
from typing import TypeVar

from inkstone.errors import RecipeError, nearest
from inkstone.layers.rotary import RotaryScaling, frequencies, raised
from inkstone.models.decoder import Decoder

Model = TypeVar("Model")  # whatever is asked to go on with a text, one that cannot included
SCALINGS = ("linear", "ntk", "yarn")


def stretched_to(model: Model, context: int | None, scaling: str | None) -> Model | Decoder:
    """The model as it is where neither is given, else stretched. Raises RecipeError as `longer_context`, and for a way without a context."""
    if context is None and scaling is None:
        return model
    if context is None:
        raise RecipeError("a rotary scaling needs the context that it stretches to: context = N, or --context N")
    return longer_context(model, context, scaling or "yarn")


def longer_context(model: object, context: int, scaling: str = "yarn") -> Decoder:
    """The model with a context of so many tokens. Weights are shared with the one that is given, which stays as it is.

    Raises RecipeError for another family or learned positions, a context that is not longer, and a model that is stretched already.
    """
    if scaling not in SCALINGS:
        raise RecipeError(f"there is no rotary scaling {scaling!r}; {nearest(scaling, SCALINGS)}")
    if type(model) is not Decoder or model.positions is not None:
        raise RecipeError("only decoders with rotary positions can be stretched to a longer context")
    s = model.settings
    if context <= s.context:
        raise RecipeError(f"context = {context}, but this model has {s.context} already; name a longer one")
    if s.rotary_scaling is not None:
        raise RecipeError(
            f"this model is stretched already ({s.rotary_scaling.kind}, {s.rotary_scaling.factor:g} times)"
        )
    factor = context / s.context
    if scaling == "ntk":
        settings = replace(s, context=context, rotary_theta=raised(s.rotary_theta, s.head_width, factor))
    else:
        settings = replace(
            s, context=context, rotary_scaling=RotaryScaling(scaling, factor, original_context=s.context)
        )
    shared = {id(kept): kept for kept in (*model.parameters(), model.tokenizer)}
    stretched = copy.deepcopy(model, shared)
    stretched.settings = settings
    for block in stretched.blocks:
        block.settings = settings  # type: ignore[assignment]
    omega = frequencies(s.head_width, settings.rotary_theta, settings.rotary_scaling)
    stretched.omega = omega.to(model.omega.device)
    return stretched
