"""A model for a tokenizer that has got new tokens: the same weights, with a row more for each in the matrices of the vocabulary.

The row of a new token is the mean of the rows of the old tokens that spell it (Koto et al. 2021; Gee et al. 2022), in the embedding
as in the output matrix: it begins near what it is made of, and training goes on from there.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import RecipeError
from inkstone.tokens.tokenizer import Tokenizer


@torch.no_grad()
def with_more_tokens(model: Any, tokenizer: Tokenizer, first: int, pieces: Sequence[Sequence[int]]) -> Any:
    """A model of the same family and weights for `tokenizer`, whose ids from `first` on are new; `model` stays as it is.

    `pieces` holds for each new token the old ids that spell it. Rows that a family keeps behind its vocabulary, as the sentinels
    of an encoder-decoder, stay behind it. Raises RecipeError for a family that is counted, and has no rows.
    """
    before, kind = model.settings.vocab_size, type(model)
    if not hasattr(kind.Settings, "of_size"):
        raise RecipeError(f"a model of the family {model.family!r} is counted, and has no embedding to extend")
    after = max(before, first + len(pieces))
    with torch.device("meta"):  # of its tensors only the shapes are looked at: those that grow are of the vocabulary
        probe = kind(replace(model.settings, vocab_size=before + 1), tokenizer).state_dict()
    old = model.state_dict()
    state = {
        name: tensor if tensor.shape == probe[name].shape else _with_rows(tensor, before, after, first, pieces)
        for name, tensor in old.items()
    }
    grown = kind(replace(model.settings, vocab_size=after), tokenizer)
    grown.load_state_dict(state)
    weight = next(model.parameters())
    return grown.to(weight.device, weight.dtype).train(model.training)


def _with_rows(
    old: Float[Tensor, "r ..."], before: int, after: int, first: int, pieces: Sequence[Sequence[int]]
) -> Float[Tensor, "n ..."]:
    """The rows of a vocabulary of `after` tokens, made from those of `before`; what lies behind the vocabulary stays there."""
    between = old.new_zeros(after - before, *old.shape[1:])
    new = torch.cat((old[:before], between, old[before:]))
    for number, spelled in enumerate(pieces, start=first):
        new[number] = old[list(spelled)].float().mean(0)
    return new
