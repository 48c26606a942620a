"""The linear-chain conditional random field: one distribution over all tag sequences of a sentence, normalised as a whole.

    score(y) = start[y₁] + Σₜ emission[t, yₜ] + Σₜ transition[yₜ₋₁, yₜ] + end[yₙ]
    p(y | x) = exp score(y) / Z,    Z = Σ over all kⁿ sequences, summed in n·k² steps:
    α₁ = start + emission₁,    αₜ[j] = emission[t, j] + log Σᵢ exp(αₜ₋₁[i] + transition[i, j]),    log Z = log Σⱼ exp(αₙ[j] + end[j])

Everything here is exact and batched: rows of a batch are sentences with their lengths, and what stands after the end of
a row changes nothing. A move that cannot be has the score `FORBIDDEN`, finite so that gradients stay numbers: its
exp is zero in single precision. Source: Lafferty, McCallum and Pereira 2001.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.forward_backward import Packing, forward_backward

FORBIDDEN = -1e4


@dataclass(frozen=True)
class Transitions:
    """What a chain of tags scores by itself, apart from the words."""

    start: Float[Tensor, " k"]
    move: Float[Tensor, "k k"]  # from the row's tag to the column's
    end: Float[Tensor, " k"]


def log_partition(
    emissions: Float[Tensor, "b t k"], transitions: Transitions, lengths: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """log Z of every row: the logarithm of the summed exp score of all its tag sequences. Lengths are at least 1."""
    alpha = transitions.start + emissions[:, 0]
    for at in range(1, emissions.shape[1]):
        moved = torch.logsumexp(alpha[:, :, None] + transitions.move, dim=1) + emissions[:, at]
        alpha = torch.where((at < lengths)[:, None], moved, alpha)
    return torch.logsumexp(alpha + transitions.end, dim=1)


def path_score(
    emissions: Float[Tensor, "b t k"], transitions: Transitions, lengths: Int[Tensor, " b"], tags: Int[Tensor, "b t"]
) -> Float[Tensor, " b"]:
    """The score of one tag sequence a row. Tags after the end of a row are not looked at."""
    inside = torch.arange(tags.shape[1], device=tags.device) < lengths[:, None]
    tags = torch.where(inside, tags, 0)
    emitted = emissions.gather(2, tags[:, :, None])[:, :, 0]
    moved = transitions.move[tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, lengths[:, None] - 1)[:, 0]
    sums = torch.where(inside, emitted, 0).sum(1) + torch.where(inside[:, 1:], moved, 0).sum(1)
    return transitions.start[tags[:, 0]] + sums + transitions.end[last]


def negative_log_likelihood(
    emissions: Float[Tensor, "b t k"], transitions: Transitions, lengths: Int[Tensor, " b"], tags: Int[Tensor, "b t"]
) -> Float[Tensor, " b"]:
    """−log p(tags | words) of every row, in nats: log Z − score. It can be differentiated."""
    return log_partition(emissions, transitions, lengths) - path_score(emissions, transitions, lengths, tags)


def marginals(
    emissions: Float[Tensor, "b t k"], transitions: Transitions, lengths: Int[Tensor, " b"]
) -> Float[Tensor, "b t k"]:
    """p(yₜ = j | x) of every position, by forward–backward; zero after the end of a row.

    They are ∂ log Z / ∂ emission[t, j], which is how the tests check them.
    """
    steps = emissions.shape[1]
    alphas = [transitions.start + emissions[:, 0]]
    for at in range(1, steps):
        alphas.append(torch.logsumexp(alphas[-1][:, :, None] + transitions.move, dim=1) + emissions[:, at])
    beta = transitions.end.expand_as(alphas[0])
    betas = [beta]
    for at in range(steps - 1, 0, -1):
        moved = torch.logsumexp(transitions.move + (emissions[:, at] + beta)[:, None, :], dim=2)
        beta = torch.where((at < lengths)[:, None], moved, transitions.end)
        betas.append(beta)
    both = torch.stack(alphas, dim=1) + torch.stack(betas[::-1], dim=1)
    inside = torch.arange(steps, device=lengths.device) < lengths[:, None]
    return torch.where(inside[:, :, None], both.softmax(-1), 0)


def viterbi(
    emissions: Float[Tensor, "b t k"], transitions: Transitions, lengths: Int[Tensor, " b"]
) -> tuple[Int[Tensor, "b t"], Float[Tensor, " b"]]:
    """The tag sequence of the highest score in every row, and that score. After the end of a row the tags are 0.

    The same recursion as the partition's with max in the place of Σ exp; each step keeps which tag was the best before.
    """
    best = transitions.start + emissions[:, 0]
    before = []
    for at in range(1, emissions.shape[1]):
        moved, choice = (best[:, :, None] + transitions.move).max(dim=1)
        before.append(choice)
        best = torch.where((at < lengths)[:, None], moved + emissions[:, at], best)
    score, tag = (best + transitions.end).max(dim=1)
    tags = torch.zeros(emissions.shape[:2], dtype=torch.int64, device=emissions.device)
    for at in range(emissions.shape[1] - 1, -1, -1):
        tags[:, at] = torch.where(at < lengths, tag, 0)
        if at:
            tag = torch.where(at < lengths, before[at - 1].gather(1, tag[:, None])[:, 0], tag)
    return tags, score


@dataclass(frozen=True)
class CorpusLikelihood:
    """Negative log-likelihood of a corpus in nats, and its gradient."""

    nats: float
    emissions: Float[Tensor, "n k"]
    transitions: Transitions


def corpus_likelihood(
    emissions: Float[Tensor, "n k"], transitions: Transitions, tags: Int[Tensor, " n"], packing: Packing
) -> CorpusLikelihood:
    """−log p(tags) of all sentences with the gradient written out: expected counts minus those of `tags`.

    The same as `negative_log_likelihood` and autograd, and many times faster on a CPU where emissions are a plain table.
    Emissions and tags are in packed order. Single precision holds it as long as the scores of two moves, or of two tags
    of a word, differ by less than about 80.
    """
    k, first, last = emissions.shape[1], slice(0, packing.sentences), packing.last
    highest, shift = emissions.max(dim=1, keepdim=True).values, transitions.move.max()
    posterior = forward_backward(
        transitions.start.exp(),
        (transitions.move - shift).exp(),
        (emissions - highest).exp_(),
        transitions.end.exp(),
        packing,
    )
    partition = posterior.log_weight.sum() + highest.double().sum() + float(shift) * len(packing.after)
    seen = torch.bincount(tags[packing.before] * k + tags[packing.after], minlength=k * k).view(k, k)
    score = emissions.gather(1, tags[:, None]).double().sum() + (seen * transitions.move.double()).sum()
    score += transitions.start.double()[tags[first]].sum() + transitions.end.double()[tags[last]].sum()
    gradient = posterior.states
    gradient.scatter_add_(1, tags[:, None], -torch.ones_like(highest))  # before the sums: they count the gold tags too
    moved = Transitions(gradient[first].sum(0), posterior.moves - seen, gradient[last].sum(0))
    return CorpusLikelihood(float(partition - score), gradient, moved)


def bio_moves(tags: Sequence[str]) -> tuple[Bool[Tensor, " k"], Bool[Tensor, "k k"]]:
    """Which tags may come first, and which may follow which, in the BIO scheme: I-X only after B-X or I-X.

    >>> first, follow = bio_moves(["O", "B-PER", "I-PER"])
    >>> first.tolist(), follow.tolist()
    ([True, True, False], [[True, True, False], [True, True, True], [True, True, True]])
    """
    inside = [tag[2:] if tag.startswith("I-") else None for tag in tags]
    first = torch.tensor([kind is None for kind in inside])
    follow = torch.tensor(
        [[kind is None or before in (f"B-{kind}", f"I-{kind}") for kind in inside] for before in tags]
    )
    return first, follow


class LinearChainCRF(nn.Module):
    """The transitions as weights, for emissions that a network gives; `moves` forbids the others.

    `moves` says what may come first and what may follow what (`bio_moves`), and last, where not all may (`tag_moves`).
    Fresh weights are zero: every chain is then as likely as its emissions say.
    """

    allowed_first: Tensor
    allowed_moves: Tensor
    allowed_last: Tensor

    def __init__(self, n_tags: int, moves: tuple[Bool[Tensor, "*k"], ...] | None = None):
        super().__init__()
        if n_tags < 1:
            raise RecipeError(f"n_tags = {n_tags}, but a tagger needs at least 1 tag")
        everything = torch.ones(n_tags, dtype=torch.bool)
        first, follow, *ends = moves or (everything, torch.ones(n_tags, n_tags, dtype=torch.bool))
        last = ends[0] if ends else everything
        if first.shape != (n_tags,) or follow.shape != (n_tags, n_tags) or last.shape != (n_tags,):
            raise RecipeError(f"the allowed moves are for {len(first)} tags, but there are {n_tags}")
        self.start = nn.Parameter(torch.zeros(n_tags))
        self.move = nn.Parameter(torch.zeros(n_tags, n_tags))
        self.end = nn.Parameter(torch.zeros(n_tags))
        self.register_buffer("allowed_first", first)
        self.register_buffer("allowed_moves", follow)
        self.register_buffer("allowed_last", last)

    @property
    def transitions(self) -> Transitions:
        """The scores of the moves, those that are not allowed at `FORBIDDEN`."""
        return Transitions(
            self.start.masked_fill(~self.allowed_first, FORBIDDEN),
            self.move.masked_fill(~self.allowed_moves, FORBIDDEN),
            self.end.masked_fill(~self.allowed_last, FORBIDDEN),
        )

    def forward(
        self, emissions: Float[Tensor, "b t k"], lengths: Int[Tensor, " b"], tags: Int[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        """Negative log-likelihood of the tags of every row, in nats."""
        return negative_log_likelihood(emissions, self.transitions, lengths, tags)

    def decode(self, emissions: Float[Tensor, "b t k"], lengths: Int[Tensor, " b"]) -> list[list[int]]:
        """The best tag sequence of every row."""
        tags, _ = viterbi(emissions, self.transitions, lengths)
        return [row[:length] for row, length in zip(tags.tolist(), lengths.tolist(), strict=True)]
