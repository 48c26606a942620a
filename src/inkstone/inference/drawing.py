"""The next token of many texts at once, each drawn by settings of its own, as `generate` draws it.

All rows go through each filter together, with a strength for each; a bias or a form changes its own row before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.inference.constrained import LEAST, NEVER
from inkstone.inference.requests import EngineError, Likely, Writing
from inkstone.inference.sampling import (
    SamplingError,
    at_temperature,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    penalise_written,
)
from inkstone.inference.slots import Slots


def draw_each(scores: Float[Tensor, "b v"], writings: Sequence[Writing], slots: Slots) -> Int[Tensor, " b"]:
    """A token for each row of log-probabilities, which follow what its slot holds.

    What goes wrong with a row is its `error`, and its token means nothing.
    """
    damaged = ~scores.amax(-1).isfinite()
    if bool(damaged.any()):
        scores = scores.masked_fill(damaged[:, None], 0.0)
        for place in damaged.nonzero()[:, 0].tolist():
            writings[place].error = EngineError("the model's probabilities are not numbers; its weights are damaged")
    scores = _penalised(_ruled(scores, writings), writings, slots)
    settings = [writing.request.sampling for writing in writings]
    temperatures = torch.tensor([s.temperature for s in settings], dtype=torch.float64)
    best, drawn = scores.argmax(-1), temperatures > 0
    if not drawn.any():
        return best
    scores = _filtered(at_temperature, scores, temperatures, drawn & (temperatures != 1))
    for keep, strengths, neutral in (
        (keep_top_k, [s.top_k for s in settings], 0),
        (keep_top_p, [s.top_p for s in settings], 1),
        (keep_min_p, [s.min_p for s in settings], 0),
    ):
        each = torch.tensor(strengths, dtype=torch.long if keep is keep_top_k else torch.float64)
        scores = _filtered(keep, scores, each, drawn & (each != neutral))
    scores = _with_something_to_draw(scores, drawn, writings)
    uniform = torch.tensor([writing.row.random.random() for writing in writings], dtype=torch.float64)
    return torch.where(drawn, draw(scores, uniform), best)


def _with_something_to_draw(
    scores: Float[Tensor, "b v"], drawn: Bool[Tensor, " b"], writings: Sequence[Writing]
) -> Float[Tensor, "b v"]:
    """Scores in which no row is without a finite one; where extreme settings have left none, that is the `error` of the row."""
    lost = drawn & ~scores.amax(-1).isfinite()
    for place in lost.nonzero()[:, 0].tolist():
        error = SamplingError("the settings of sampling leave numbers beyond all bounds; choose less extreme ones")
        writings[place].error = writings[place].error or error
    return scores.masked_fill(lost[:, None], 0.0) if bool(lost.any()) else scores


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


def _filtered(
    keep: Callable[[Tensor, Any], Tensor], scores: Float[Tensor, "b v"], strengths: Tensor, on: Bool[Tensor, " b"]
) -> Float[Tensor, "b v"]:
    """A filter on the rows where it is on."""
    if bool(on.all()):
        return keep(scores, strengths)
    return scores.index_put((on,), keep(scores[on], strengths[on])) if bool(on.any()) else scores


def _ruled(scores: Float[Tensor, "b v"], writings: Sequence[Writing]) -> Float[Tensor, "b v"]:
    """Log-probabilities after biases, with −∞ where a form does not allow a token."""
    ruled = [n for n, each in enumerate(writings) if each.request.bias or each.row.form is not None]
    if not ruled:
        return scores
    scores = scores.clone()
    for place in ruled:
        writing = writings[place]
        if bias := writing.request.bias:
            scores[place, list(bias)] += torch.tensor(list(bias.values()), dtype=scores.dtype)
        if writing.row.form is None:
            continue
        try:
            allowed = torch.from_numpy(writing.row.form.allowed()[: scores.shape[1]])
            scores[place] = torch.where(allowed, scores[place].clamp(min=LEAST), NEVER)
        except Exception as error:
            writing.error = writing.error or error
    return scores


def _penalised(scores: Float[Tensor, "b v"], writings: Sequence[Writing], slots: Slots) -> Float[Tensor, "b v"]:
    """Log-probabilities less what it costs a token to stand in the text already."""
    settings = [writing.request.sampling for writing in writings]
    # Before its first token, a text to a source is empty.
    rows = [n for n, s in enumerate(settings) if s.repetition_penalty != 1 and slots.lengths[writings[n].slot]]
    if rows:
        ids, _, own = _text_in(slots, [writings[n] for n in rows])
        strengths = torch.tensor([settings[n].repetition_penalty for n in rows], dtype=scores.dtype)
        penalised = penalise_repetition(scores[rows], torch.where(own, ids, ids[:, :1]), strengths)
        scores = scores.index_copy(0, torch.tensor(rows), penalised)
    rows = [n for n, s in enumerate(settings) if s.presence_penalty or s.frequency_penalty]
    if rows:
        ids, written, _ = _text_in(slots, [writings[n] for n in rows])
        strengths = [[settings[n].presence_penalty for n in rows], [settings[n].frequency_penalty for n in rows]]
        penalised = penalise_written(
            scores[rows], ids.masked_fill(~written, -1), *torch.tensor(strengths, dtype=scores.dtype)
        )
        scores = scores.index_copy(0, torch.tensor(rows), penalised)
    return scores


def _text_in(
    slots: Slots, writings: Sequence[Writing]
) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """The ids that slots hold, which of them were written, and which are there at all: rows are as long as the longest."""
    numbers = [writing.slot for writing in writings]
    lengths = slots.lengths[numbers]
    ids = torch.from_numpy(slots.held[numbers, : lengths.max()])
    first = torch.tensor([[0 if writing.apart else len(writing.prompt)] for writing in writings])
    places = torch.arange(ids.shape[1])
    own = places < torch.from_numpy(lengths)[:, None]
    return ids, own & (places >= first), own
