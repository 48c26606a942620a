"""How the next token is drawn: functions from log-probabilities to log-probabilities, and the draw itself.

Each takes a row of log-probabilities for every text being written, (b, v), and gives a row again; a token that may
not be drawn stands at −∞. The rows need not sum to one. A strength is one number for all rows or a tensor with one for
each, so that texts with settings of their own are drawn together (`drawing.py`). In `Sampling.warp` they act in the order of `transformers`:
repetition penalty, temperature, top-k, top-p, min-p; the penalties of OpenAI's API come after the repetition penalty.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import InkstoneError

Each = float | Float[Tensor, " b"]
COLD, COLDEST = 1e-2, 1e-20  # temperatures; below the second one nothing changes any more
NUCLEUS_GUESS = 128  # tokens that are sorted first in the search for the nucleus


class SamplingError(InkstoneError):
    """A sampling setting that cannot hold."""


@dataclass(frozen=True)
class Sampling:
    """The settings of drawing text. Each filter is off at its neutral value, which the comment names."""

    temperature: float = 0.8  # 0: always the likeliest token; 1: the model as it is
    top_k: int = 0  # 0: all tokens
    top_p: float = 1.0  # 1: all tokens
    min_p: float = 0.05  # 0: all tokens
    repetition_penalty: float = 1.0  # 1: none
    presence_penalty: float = 0.0  # 0: none; below 0: more of what was written
    frequency_penalty: float = 0.0  # 0: none
    max_tokens: int = 200  # new tokens
    max_length: int | None = None  # tokens of the prompt and the new ones together; None: no bound
    stop: tuple[str, ...] = ()  # texts that end the continuation and are not part of it
    seed: int = 0

    def __post_init__(self):
        """Refuse values that mean nothing.

        Raises SamplingError with the value seen and those allowed.
        """
        _check("temperature", self.temperature, self.temperature >= 0, "0 or more")
        _check("top_k", self.top_k, self.top_k >= 0, "0 (all tokens) or more")
        _check("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1")
        _check("min_p", self.min_p, 0 <= self.min_p <= 1, "from 0 to 1")
        _check("repetition_penalty", self.repetition_penalty, self.repetition_penalty > 0, "above 0; 1 is none")
        _check("presence_penalty", self.presence_penalty, True, "a number; 0 is none")
        _check("frequency_penalty", self.frequency_penalty, True, "a number; 0 is none")
        _check("max_tokens", self.max_tokens, self.max_tokens >= 1, "at least 1")
        _check("max_length", self.max_length, self.max_length is None or self.max_length >= 1, "at least 1")
        _check("seed", self.seed, self.seed >= 0, "0 or more")
        if isinstance(self.stop, str):
            raise SamplingError(f"stop = {self.stop!r}, but must be several texts: stop=({self.stop!r},)")
        _check("stop", self.stop, all(self.stop), "texts of at least one character")

    @property
    def looks_back(self) -> bool:
        """Whether what was read or written changes what comes next, beyond what the model makes of it."""
        return self.repetition_penalty != 1 or bool(self.presence_penalty or self.frequency_penalty)

    def warp(self, scores: Float[Tensor, "b v"], read: Int[Tensor, "b t"], prompt: int = 0) -> Float[Tensor, "b v"]:
        """All filters in turn, except that temperature 0 leaves its work to `draw`.

        `read` holds each row's ids, of which the first `prompt` were given, and the others written.
        """
        if self.repetition_penalty != 1:
            scores = penalise_repetition(scores, read, self.repetition_penalty)
        if self.presence_penalty or self.frequency_penalty:
            scores = penalise_written(scores, read[:, prompt:], self.presence_penalty, self.frequency_penalty)
        if self.temperature == 0:
            return scores
        if self.temperature != 1:
            scores = at_temperature(scores, self.temperature)
        if self.top_k:
            scores = keep_top_k(scores, self.top_k)
        if self.top_p < 1:
            scores = keep_top_p(scores, self.top_p)
        if self.min_p > 0:
            scores = keep_min_p(scores, self.min_p)
        return scores

    def draw(self, scores: Float[Tensor, "b v"], uniform: Float[Tensor, " b"]) -> Int[Tensor, " b"]:
        """A token for each row of warped scores: the likeliest at temperature 0, else by its probability."""
        return scores.argmax(-1) if self.temperature == 0 else draw(scores, uniform)


def _check(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise SamplingError(f"{name} = {value}, but must be {allowed}")


def at_temperature(scores: Float[Tensor, "b v"], temperature: Each) -> Float[Tensor, "b v"]:
    """Scores of which the softmax is p^(1/T), normalised: sharper below T = 1, flatter above."""
    t = _column(torch.as_tensor(temperature, dtype=torch.float64).clamp(min=COLDEST).to(scores))
    if bool((t < COLD).any()):  # else all of them would become −∞
        scores = torch.where(t < COLD, scores - scores.amax(-1, keepdim=True), scores)
    return scores / t


def penalise_repetition(scores: Float[Tensor, "b v"], read: Int[Tensor, "b t"], penalty: Each) -> Float[Tensor, "b v"]:
    """Make tokens that were read less likely (Keskar et al. 2019, section 4.1).

        s′ = s · penalty where s < 0, else s / penalty, for every token in the row's `read`

    On log-probabilities, which are never positive, this is always the product; on logits, for which the paper
    defines it, the outcome depends on where their zero lies.
    """
    old = scores.gather(1, read)
    # A penalty that would be rounded to 0 would make −∞ · 0 and 0 / 0 of scores.
    least = torch.finfo(scores.dtype).tiny
    penalty = _column(torch.as_tensor(penalty, dtype=torch.float64).clamp(min=least).to(scores))
    return scores.scatter(1, read, torch.where(old < 0, old * penalty, old / penalty))


def penalise_written(
    scores: Float[Tensor, "b v"], written: Int[Tensor, "b t"], presence: Each, frequency: Each
) -> Float[Tensor, "b v"]:
    """Make tokens less likely the more often they were written, as OpenAI's API defines it.

    s′ = s − presence · [n > 0] − frequency · n, n being how often the token stands in the row's `written`

    Where `written` is −1, there is no token.
    """
    counts = torch.zeros_like(scores).scatter_add(1, written.clamp(min=0), (written >= 0).to(scores))
    return scores - _column(presence) * (counts > 0) - _column(frequency) * counts


def keep_top_k(scores: Float[Tensor, "b v"], k: int | Int[Tensor, " b"]) -> Float[Tensor, "b v"]:
    """Only the k likeliest tokens, and those level with the last of them (Fan, Lewis & Dauphin 2018, section 5.1)."""
    ks = torch.as_tensor(k).clamp(max=scores.shape[-1]).expand(len(scores))
    threshold = scores.topk(int(ks.max()), dim=-1).values.gather(1, ks[:, None] - 1)
    return scores.masked_fill(scores < threshold, -math.inf)


def keep_top_p(scores: Float[Tensor, "b v"], p: Each) -> Float[Tensor, "b v"]:
    """The nucleus: the fewest likeliest tokens whose probabilities sum to p or more (Holtzman et al. 2020, section 3.1).

    Sorts a few tokens, and more only where these do not fill the nucleus. Of tokens that are equally likely at its
    border, those that make it smallest stay.
    """
    v, p = scores.shape[-1], _column(p)
    log_sum = scores.logsumexp(-1, keepdim=True)
    guess = min(NUCLEUS_GUESS, v)
    while True:
        best, places = scores.topk(guess, dim=-1)
        mass = (best - log_sum).exp().cumsum(-1, dtype=torch.float64)
        if guess == v or bool((mass[:, -1:] >= p).all()):
            break
        guess = min(guess * 8, v)
    # A token stays while the mass before it has not reached p: the first one always does.
    before = torch.cat((torch.zeros_like(mass[:, :1]), mass[:, :-1]), dim=-1)
    return torch.full_like(scores, -math.inf).scatter(1, places, best.masked_fill(before >= p, -math.inf))


def keep_min_p(scores: Float[Tensor, "b v"], p: Each) -> Float[Tensor, "b v"]:
    """Only tokens at least p times as likely as the likeliest one (Nguyen et al. 2024, section 3)."""
    least = _column(torch.as_tensor(p, dtype=torch.float64).log().to(scores))
    return scores.masked_fill(scores < scores.amax(-1, keepdim=True) + least, -math.inf)


def _column(strength: float | Tensor) -> Any:
    """A strength for each row, to be broadcast over its tokens; one for all stays as it is."""
    return strength[:, None] if isinstance(strength, Tensor) and strength.dim() else strength


def draw(scores: Float[Tensor, "b v"], uniform: Float[Tensor, " b"]) -> Int[Tensor, " b"]:
    """For each row the token on which a number from [0, 1) falls: the inverse of the distribution function.

    One number a row makes rows independent of one another: what a row draws does not depend on how many there are.

    >>> thirds = torch.tensor([[1.0, 2.0, 0.0, 3.0]]).log()
    >>> [draw(thirds, torch.tensor([u])).item() for u in (0.0, 0.16, 0.17, 0.49, 0.51, 0.99)]
    [0, 0, 1, 1, 3, 3]
    """
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    heights = weights.cumsum(-1, dtype=torch.float64)
    # A height equal to the whole would point past the last token, so the product is kept below it.
    whole = heights[:, -1:]
    target = torch.minimum(uniform[:, None] * whole, torch.nextafter(whole, torch.zeros_like(whole)))
    return torch.searchsorted(heights, target, right=True)[:, 0]
