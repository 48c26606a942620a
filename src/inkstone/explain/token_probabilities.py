"""What a language model held of each token of a text before it read it: how likely, how undecided, and what else it could have been.

surprise of token i  = −log₂ p(tokenᵢ | tokens before)
entropy before it    = −Σ_w p(w | tokens before) log₂ p(w | tokens before)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from inkstone.errors import InkstoneError
from inkstone.inference.prefill import context_of, device_of
from inkstone.models.base import LanguageModel

CHUNK = 64  # positions whose whole distributions are held at once


@dataclass(frozen=True)
class WeighedToken:
    """A token, the log-probability it had in nats, the entropy there in bits, and the likeliest tokens with theirs.

    All None and empty of a token that nothing stands before.
    """

    id: int
    log_probability: float | None
    entropy: float | None
    alternatives: tuple[tuple[int, float], ...] = ()


@torch.inference_mode()
def weighed_tokens(model: LanguageModel, ids: Sequence[int], alternatives: int = 5) -> list[WeighedToken]:
    """Each token as the model saw it coming, all of those before it in view.

    Raises InkstoneError for a text that is longer than the model's context.
    """
    context = context_of(model)
    if context is not None and len(ids) > context:
        raise InkstoneError(
            f"{len(ids)} tokens, but this model takes account of {context} at once; give a shorter text"
        )
    if not ids:
        return []
    weighed = [WeighedToken(ids[0], None, None)]
    state = model.start(1)
    device = device_of(model)
    for begin in range(0, len(ids) - 1, CHUNK):
        read = list(ids[begin : min(begin + CHUNK, len(ids) - 1)])
        scores, state = model.step(torch.tensor([read], device=device), state)
        scores = scores[0, :, : model.tokenizer.vocab_size].double().cpu()
        entropies = -(scores.exp() * scores.nan_to_num(neginf=0.0)).sum(-1) / math.log(2)
        best, names = scores.topk(min(alternatives, scores.shape[1]), dim=-1)
        for row, number in enumerate(ids[begin + 1 : begin + 1 + len(read)]):
            likeliest = tuple(zip(names[row].tolist(), best[row].tolist(), strict=True))
            weighed.append(WeighedToken(number, float(scores[row, number]), float(entropies[row]), likeliest))
    return weighed
