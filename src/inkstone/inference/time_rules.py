"""What a Whisper may write next: no token that is never written, and times that make sense (Radford et al. 2022, section 4.5).

With times, a transcript is time text time time text time …: the first is a time near the window's begin; a time that ends a text
is followed by another one or by the end; after a pair of times comes text or the end; no time is before an earlier one, and only
that which begins a text may be the same as the one before. And where all times together are likelier than the likeliest text
token, a time it is: a model sure that the text is over, but not of when, spreads that over many times.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.tokens.speech_tokens import SpeechTokens

NEVER = float("-inf")


@dataclass(frozen=True)
class TimeRules:
    """The rules of one checkpoint, with times or without any."""

    tokens: SpeechTokens
    times: bool

    def __call__(self, scores: Float[Tensor, "b k v"], written: Int[Tensor, "b k t"]) -> Float[Tensor, "b k v"]:
        """Log-probabilities of what may follow, −∞ for all else; they sum to one again."""
        known, first = self.tokens, self.tokens.first_time
        scores = scores.clone()
        for never in (known.suppressed, known.suppressed_first if written.shape[2] == 0 else ()):
            scores[..., list(never)] = NEVER
        if self.times:
            scores[..., known.no_times] = NEVER
            ids = torch.arange(scores.shape[2], device=scores.device)
            scores = scores.masked_fill(self._out_of_place(ids, written), NEVER)
            if scores.shape[2] > first:
                together = scores[..., first:].logsumexp(-1, keepdim=True)
                sure = together > scores[..., :first].amax(-1, keepdim=True)
                scores = scores.masked_fill(sure & (ids < first), NEVER)
        else:
            scores[..., first:] = NEVER
        return scores.log_softmax(-1)

    def _out_of_place(self, ids: Int[Tensor, " v"], written: Int[Tensor, "b k t"]) -> Bool[Tensor, "b k v"]:
        first, length = self.tokens.first_time, written.shape[2]
        if length == 0:
            latest = self.tokens.latest_first_time
            wrong = ids < first if latest is None else (ids < first) | (ids > first + latest)
            return wrong.expand(*written.shape[:2], -1)
        is_time = written >= first
        last = is_time[..., -1:]
        before = is_time[..., -2:-1] if length > 1 else torch.ones_like(last)
        ends_text = last & ~before
        latest = written.where(is_time, first - 1).amax(-1, keepdim=True)
        lowest = torch.where(ends_text, latest, latest + 1)
        wrong = (ids >= first) & (ids < lowest)
        return wrong | (last & before & (ids >= first)) | (ends_text & (ids < self.tokens.end))
