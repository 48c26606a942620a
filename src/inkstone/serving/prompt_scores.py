"""How likely the tokens of a prompt are, for those who ask a server to score a text (`echo` with `logprobs`)."""

from collections.abc import Sequence

import torch

from inkstone.inference.prefill import device_of
from inkstone.inference.requests import Heard, Likely
from inkstone.models.base import LanguageModel

CHUNK = 128  # tokens read at a time: the log-probabilities of all tokens of the vocabulary are held for so many


@torch.inference_mode()
def scored_prompt(model: LanguageModel, ids: Sequence[int], alternatives: int) -> Heard:
    """Each token of a prompt with its log-probability after those before it, and the likeliest in its place.

    Nothing stands before the first one: its log-probability is NaN.
    """
    state, values, others = model.start(1), [float("nan")], [()]
    vocabulary = model.tokenizer.vocab_size
    for begin in range(0, len(ids) - 1, CHUNK):
        chunk = ids[begin : min(begin + CHUNK, len(ids) - 1)]
        after = ids[begin + 1 : begin + 1 + len(chunk)]
        scores, state = model.step(torch.tensor([chunk], device=device_of(model)), state)
        scores = scores[0, :, :vocabulary].float().cpu()
        values += scores.gather(1, torch.tensor(after)[:, None])[:, 0].tolist()
        others += _likeliest(scores, alternatives) if alternatives else [()] * len(after)
    return Heard("", tuple(ids), tuple(values), tuple(others))


def _likeliest(scores: torch.Tensor, alternatives: int) -> list[Likely]:
    best = scores.topk(min(alternatives, scores.shape[1]), dim=-1)
    rows = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [tuple(zip(ids, values, strict=True)) for values, ids in rows]
