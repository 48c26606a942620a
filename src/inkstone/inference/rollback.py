"""Tokens that a model reads on trial, and can take back.

A state that can be cut (`truncate`: the keys and values of attention) is cut. Any other, such as that of a recurrent network,
is copied before, and the tokens that stand are read again from the copy.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.models.base import LanguageModel, State


def read_on_trial(
    model: LanguageModel, ids: Int[Tensor, "b t"], state: State
) -> tuple[Float[Tensor, "b t v"], Callable[[int], State]]:
    """Log-probabilities after each of `ids`, and a function that gives the state after the first n of them, to be asked once."""
    before, rows = state.length, torch.arange(len(ids), device=ids.device)
    cuttable = hasattr(state, "truncate")
    copy = None if cuttable else state.select(rows)
    scores, after = model.step(ids, state)

    def first(n: int) -> State:
        if n == ids.shape[1]:
            return after
        if copy is None:
            return after.truncate(before + n)
        return copy if n == 0 else model.step(ids[:, :n], copy, last=True)[1]

    return scores, first
