"""When each token of a transcript is said, by where a Whisper's decoder looks while it writes it.

Some heads of its attention to the sound follow the speech (the alignment heads). With A the attention of token t at state s, for each such head:

    Z = (A − mean over t) / deviation over t,    smoothed along s by a median,    C = −mean over heads of Z

and the path of dynamic time warping through C says for each token the first state that it looks at. Source: Radford et al. 2022, the
released code; a state is 20 ms.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.inference.time_warping import warped
from inkstone.models.encoder_decoder import Memory
from inkstone.models.whisper import Whisper

SMOOTHED = 7  # states
LEAST_DEVIATION = 1e-12


def first_states(
    model: Whisper, memory: Memory, ids: Sequence[int], begin: int, heads: Sequence[tuple[int, int]], states: int
) -> Int[np.ndarray, " n"]:
    """For each token from `begin` on, as it is read, the first of the `states` of sound that the decoder looks at then.

    While a token is read, the one after it is told: it is said from that state on. `memory` is of one window; `heads` are
    (layer, head), of which there must be one; of other tokens than those from `begin` on nothing enters.
    """
    attention = attention_to_sound(model, memory, ids, heads)[:, begin:, :states]
    return path_starts(smoothed(standardised(attention)).mean(0).double().cpu().numpy())


@torch.inference_mode()
def attention_to_sound(
    model: Whisper, memory: Memory, ids: Sequence[int], heads: Sequence[tuple[int, int]]
) -> Float[Tensor, "heads t s"]:
    """The attention of these heads to the states of one window, of each token as it is read."""
    queries: dict[int, Tensor] = {}

    def keep(layer: int):
        def hook(module: torch.nn.Module, inputs: tuple, output: Tensor) -> None:
            queries[layer] = output

        return hook

    wanted = sorted({layer for layer, _ in heads})
    hooks = [model.decoder[layer].cross_query.register_forward_hook(keep(layer)) for layer in wanted]  # type: ignore[union-attr]
    try:
        state = model.start(1, memory)
        remembered = state.memory
        model.step(torch.tensor([list(ids)], device=memory.states.device), state, last=True)
    finally:
        for each in hooks:
            each.remove()
    found = []
    for layer, head in heads:
        width = model.settings.width // model.settings.n_heads
        query = queries[layer][0, :, head * width : (head + 1) * width]
        found.append((query.float() @ remembered[layer][0][0, head].float().T / math.sqrt(width)).softmax(-1))
    return torch.stack(found)


def standardised(attention: Float[Tensor, "h t s"]) -> Float[Tensor, "h t s"]:
    """With mean 0 and deviation 1 over the tokens, at each state: what draws all tokens alike tells none of them."""
    deviation = attention.std(dim=1, keepdim=True, unbiased=False).clamp(min=LEAST_DEVIATION)
    return (attention - attention.mean(dim=1, keepdim=True)) / deviation


def smoothed(values: Float[Tensor, "h t s"], width: int = SMOOTHED) -> Float[Tensor, "h t s"]:
    """Each value as the median of those around it along the states; beyond either end the values are mirrored."""
    around = width // 2
    if values.shape[-1] <= around:
        return values
    padded = torch.nn.functional.pad(values, (around, around), mode="reflect")
    return padded.unfold(-1, width, 1).sort(dim=-1).values[..., around]


def path_starts(worth: Float[np.ndarray, "t s"]) -> Int[np.ndarray, " t"]:
    """The column at which the path of most worth enters each row."""
    rows, columns = warped(-worth)
    return columns[np.concatenate(([True], np.diff(rows) > 0))]


def aligning_heads(model: Whisper, known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The heads that a checkpoint names, or all of the upper half of the decoder, as the released code has it."""
    layers, heads = model.settings.decoder_layers, model.settings.n_heads
    return list(known) or [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]
