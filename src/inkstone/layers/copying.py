"""Copying: what is written may be taken from the source, a token at a time (Gu et al. 2016, "CopyNet", section 3.2).

    p(y) ∝ exp(zᵧ) + Σ_{i: xᵢ = y} exp(sᵢ)
    sᵢ = q·kᵢ / √width + b + β [xᵢ₋₁ is the token read last]

z are the logits of the vocabulary, q is made of the decoder's state, kᵢ of the encoder's state of source token xᵢ. A token stands in the
source as often as it does, and each place adds to its probability. The last term goes on with what is being copied: of two places that hold
a token, the one after the token just written (the paper's selective read, as one learned number).

A worked example: two tokens with logits 0, a source of one place that holds the second with s = ln 2. The shares are 1 and 1 + 2, hence
the probabilities 1/4 and 3/4.

>>> mixed = with_copies(torch.zeros(1, 1, 2), torch.tensor([[[math.log(2)]]]), torch.tensor([[1]]))
>>> mixed.softmax(-1)
tensor([[[0.2500, 0.7500]]])
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

NEVER = -1e9  # a score that adds nothing
NOTHING = -1  # in place of the token before the first
COPIED = 100  # tokens of a source that together begin as likely as all of the vocabulary
FOLLOWS = 2.0  # β at the beginning


@dataclass
class Copied:
    """What can be copied of each source: a key for each place, its token, and the token before it."""

    keys: Float[Tensor, "b s width"]
    tokens: Int[Tensor, "b s"]
    before: Int[Tensor, "b s"]

    def select(self, rows: Int[Tensor, " n"]) -> "Copied":
        """Keep these rows in this order."""
        return Copied(self.keys[rows], self.tokens[rows], self.before[rows])


class Copying(nn.Module):
    """Adds to logits of the vocabulary what a source has to say."""

    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.start = nn.Parameter(torch.zeros(1))  # b
        self.follows = nn.Parameter(torch.zeros(1))  # β

    @torch.no_grad()
    def begin(self, vocabulary: int) -> None:
        """Set b and β so that both ways are likely, however many tokens there are."""
        self.start.fill_(math.log(vocabulary / COPIED))
        self.follows.fill_(FOLLOWS)

    def remember(self, states: Float[Tensor, "b s width"], tokens: Int[Tensor, "b s"]) -> Copied:
        """Sources as the encoder has read them, and their tokens."""
        return Copied(self.key(states), tokens, F.pad(tokens[:, :-1], (1, 0), value=NOTHING))

    def forward(
        self,
        logits: Float[Tensor, "b t v"],
        states: Float[Tensor, "b t width"],
        read: Int[Tensor, "b t"],
        copied: Copied,
        visible: Bool[Tensor, "b t s"] | None = None,
    ) -> Float[Tensor, "b t v"]:
        """Logits with the source's share. `read`: the token that was read last at each place; `visible`: None for all of the source."""
        scores = self.query(states) @ copied.keys.transpose(1, 2) / math.sqrt(states.shape[-1])
        goes_on = copied.before[:, None, :] == read[:, :, None]
        scores = scores + self.start + self.follows * goes_on.to(scores.dtype)
        if visible is not None:
            scores = scores.masked_fill(~visible, NEVER)
        return with_copies(logits, scores, copied.tokens)


def with_copies(
    logits: Float[Tensor, "b t v"], scores: Float[Tensor, "b t s"], tokens: Int[Tensor, "b s"]
) -> Float[Tensor, "b t v"]:
    """log(exp(zᵧ) + Σ_{i: xᵢ = y} exp(sᵢ)) for each y, in single precision at least."""
    logits, scores = logits.float(), scores.float()
    top = torch.maximum(logits.detach().amax(-1, keepdim=True), scores.detach().amax(-1, keepdim=True))
    own = (logits - top).exp()
    places = tokens[:, None].expand(-1, scores.shape[1], -1)
    shares = own.scatter_add(2, places, (scores - top).exp())
    return shares.clamp(min=torch.finfo(shares.dtype).tiny).log() + top
