"""Absolute positions: where in its document a token stands, and the sinusoids that say so."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def places_in_documents(
    ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None, start: int | Int[Tensor, " b"] = 0
) -> Int[Tensor, "b t"]:
    """The place of each position, from `start` on, one for all rows or one each; it begins again with each document of a
    packed row.

    >>> places_in_documents(torch.zeros(1, 5, dtype=torch.long), torch.tensor([[0, 0, 0, 1, 1]]))
    tensor([[0, 1, 2, 0, 1]])
    """
    first = start if isinstance(start, int) else start[:, None]
    places = (torch.arange(ids.shape[1], device=ids.device) + first).expand_as(ids)
    if document is None:
        return places
    begins = torch.ones_like(document, dtype=torch.bool)
    begins[:, 1:] = document[:, 1:] != document[:, :-1]
    return places - torch.where(begins, places, 0).cummax(1).values


def sinusoids(places: Int[Tensor, "b t"], width: int) -> Float[Tensor, "b t width"]:
    """Vaswani et al. 2017, section 3.5: sin(p ωᵢ) and cos(p ωᵢ), ωᵢ = 10000^(−2i/width).

    Sines fill the first half of the vector and cosines the second, as in the authors' own code; the paper prints them in
    turn, which is the same up to the order of the axes.

    >>> sinusoids(torch.tensor([[0, 1]]), 2)[0]
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    steps = torch.arange(0, width, 2, dtype=torch.float64, device=places.device)
    angles = places.double()[..., None] * 10_000.0 ** (-steps / width)
    return torch.cat((angles.sin(), angles.cos()), dim=-1).float()
