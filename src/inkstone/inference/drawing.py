"""The next token of many texts at once, each drawn by settings of its own, as `generate` draws it.

Texts with the same temperature and filters are drawn together; what depends on a text itself (its bias, its form, the
penalties for what stands in it) changes its own row before.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import InkstoneError
from inkstone.inference.constrained import LEAST, NEVER
from inkstone.inference.requests import Likely, Writing
from inkstone.inference.sampling import Sampling


def draw_each(scores: Float[Tensor, "b v"], writings: Sequence[Writing]) -> Int[Tensor, " b"]:
    """A token for each row of log-probabilities. What goes wrong with a row is its `error`, and its token means nothing."""
    for place in (~scores.amax(-1).isfinite()).nonzero()[:, 0].tolist():
        writings[place].error = InkstoneError("the model's probabilities are not numbers; its weights are damaged")
    own = [place for place, writing in enumerate(writings) if writing.error is None and _has_rules(writing)]
    if own:
        scores = scores.clone()
        for place in own:
            try:
                scores[place] = _ruled(scores[place], writings[place])
            except Exception as error:
                writings[place].error = error
    uniform = torch.tensor([writing.row.random.random() for writing in writings], dtype=torch.float64)
    alike: dict[tuple[float, int, float, float], list[int]] = {}
    for place, writing in enumerate(writings):
        s = writing.request.sampling
        alike.setdefault((s.temperature, s.top_k, s.top_p, s.min_p), []).append(place)
    chosen = torch.empty(len(writings), dtype=torch.long)
    for key, places in alike.items():
        filters = _filters(*key)
        rows = slice(None) if len(alike) == 1 else torch.tensor(places)
        nothing = chosen.new_empty(len(places), 0)  # read before: the penalties stand in the scores already
        chosen[rows] = filters.draw(filters.warp(scores[rows], nothing), uniform[rows])
    return chosen


def likeliest(scores: Float[Tensor, "b v"], writings: Sequence[Writing]) -> list[Likely]:
    """The tokens that are told beside each one drawn, as many as its request wants."""
    wanted = [min(writing.request.alternatives, scores.shape[1]) for writing in writings]
    if not any(wanted):
        return [()] * len(writings)
    asked = [place for place, n in enumerate(wanted) if n]
    best = scores[torch.tensor(asked)].topk(max(wanted), dim=-1)
    found: list[Likely] = [()] * len(writings)
    for place, values, ids in zip(asked, best.values.tolist(), best.indices.tolist(), strict=True):
        found[place] = tuple(zip(ids[: wanted[place]], values[: wanted[place]], strict=True))
    return found


def _has_rules(writing: Writing) -> bool:
    s = writing.request.sampling
    penalised = s.repetition_penalty != 1 or s.presence_penalty or s.frequency_penalty
    return bool(writing.request.bias or writing.row.form is not None or penalised)


def _ruled(scores: Float[Tensor, " v"], writing: Writing) -> Float[Tensor, " v"]:
    """One row after its bias, with the tokens its form allows, less what stands in it already."""
    request, row = writing.request, writing.row
    if request.bias:
        ids = torch.tensor(list(request.bias))
        scores = scores.index_add(0, ids, torch.tensor(list(request.bias.values()), dtype=scores.dtype))
    if row.form is not None:
        allowed = torch.from_numpy(row.form.allowed()[: len(scores)])
        scores = torch.where(allowed, scores.clamp(min=LEAST), NEVER)
    prompt = writing.prompt[:0] if writing.apart else writing.prompt
    read = torch.from_numpy(np.concatenate((prompt, np.array(row.ids, dtype=np.int64))))
    penalties = replace(request.sampling, temperature=0)
    return penalties.warp(scores[None], read[None], len(prompt))[0]


@lru_cache
def _filters(temperature: float, top_k: int, top_p: float, min_p: float) -> Sampling:
    return Sampling(temperature, top_k, top_p, min_p)
