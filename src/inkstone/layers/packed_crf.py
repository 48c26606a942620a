"""The linear-chain CRF over a whole corpus at once: its likelihood with the gradient written out, and its best paths.

The same mathematics as `layers/crf.py`, made for speed on a CPU where emissions are a plain table. Sentences are packed by
time: first the first words of all sentences, longest sentence first, then all second words, and so on, so that a step of
the recursion is one matrix product over the sentences still alive and no place is padding. Probabilities are scaled
instead of taken in logarithms (Rabiner 1989): the exponentials of k² moves are taken once, not at each word.

    α̂ₜ = α̂ₜ₋₁ M ⊙ eₜ / cₜ,    log Z = Σₜ log cₜ,    ∂(−log p)/∂emission = p(yₜ = j | x) − [yₜ = j],
    M = exp move,  eₜ = exp emissionₜ,  cₜ makes Σⱼ α̂ₜ[j] = 1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.layers.crf import Transitions


@dataclass(frozen=True)
class Packing:
    """Where each word of a corpus stands when its sentences are packed by time."""

    place: Int[Tensor, " n"]  # of each word, in reading order, in the packed order
    steps: list[tuple[int, int]]  # begin and stop of the places of all words number t
    last: Int[Tensor, " sentences"]  # places of the last words of the sentences
    before: Int[Tensor, " moves"]  # places of all words but those,
    after: Int[Tensor, " moves"]  # and the place of the word that follows each

    @property
    def sentences(self) -> int:
        """How many sentences there are; the first words of all stand at the front."""
        return self.steps[0][1]


def pack(lengths: Sequence[int]) -> Packing:
    """The packing of sentences with these numbers of words, each at least 1; there is at least one sentence.

    >>> packing = pack([1, 3])
    >>> packing.place.tolist(), packing.steps
    ([1, 0, 2, 3], [(0, 2), (2, 3), (3, 4)])
    """
    size = torch.as_tensor(lengths, dtype=torch.int64)
    order = torch.argsort(size, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    alive = torch.bincount(size).flip(0).cumsum(0).flip(0)[1:]  # sentences that have a word number t
    begins = torch.cumsum(alive, 0) - alive
    number = torch.arange(int(size.sum())) - torch.repeat_interleave(torch.cumsum(size, 0) - size, size)
    after = torch.arange(len(order), len(number))
    return Packing(
        place=begins[number] + torch.repeat_interleave(rank, size),
        steps=list(zip(begins.tolist(), (begins + alive).tolist(), strict=True)),
        last=begins[size[order] - 1] + torch.arange(len(order)),
        before=after - torch.repeat_interleave(alive[:-1], alive[1:]),
        after=after,
    )


@dataclass(frozen=True)
class Likelihood:
    """Negative log-likelihood of a corpus in nats, and its gradient."""

    nats: float
    emissions: Float[Tensor, "n k"]
    transitions: Transitions


def likelihood(
    emissions: Float[Tensor, "n k"], transitions: Transitions, tags: Int[Tensor, " n"], packing: Packing
) -> Likelihood:
    """−log p(tags) of all sentences with its gradient; emissions and tags in packed order.

    Single precision holds it as long as the scores of two moves, or of two tags of a word, differ by less than about 80.
    """
    k, first = emissions.shape[1], slice(0, packing.sentences)
    highest = emissions.max(dim=1, keepdim=True).values
    shift = transitions.move.max()
    emitted = (emissions - highest).exp_()
    moves, start, end = (transitions.move - shift).exp(), transitions.start.exp(), transitions.end.exp()

    alphas, betas = torch.empty_like(emissions), torch.empty_like(emissions)
    scales = torch.empty(len(emissions), 1, dtype=emissions.dtype)
    alpha = start
    for begin, stop in packing.steps:
        alpha = (alpha[: stop - begin] @ moves if begin else alpha) * emitted[begin:stop]
        torch.sum(alpha, dim=1, keepdim=True, out=scales[begin:stop])
        alpha = torch.div(alpha, scales[begin:stop], out=alphas[begin:stop])

    finish = alphas[packing.last] @ end
    betas[packing.last] = end / finish[:, None]
    expected = torch.zeros_like(moves)
    ahead = emissions[:0]  # emission · β / scale of the step after this one, for the sentences that go on
    for begin, stop in reversed(packing.steps):
        torch.mm(ahead, moves.T, out=betas[begin : begin + len(ahead)])
        expected.addmm_(alphas[begin : begin + len(ahead)].T, ahead)
        ahead = emitted[begin:stop] * betas[begin:stop] / scales[begin:stop]

    partition = scales.log().double().sum() + finish.log().double().sum() + highest.double().sum()
    partition += float(shift) * len(packing.after)
    seen = torch.bincount(tags[packing.before] * k + tags[packing.after], minlength=k * k).view(k, k)
    score = emissions.gather(1, tags[:, None]).double().sum() + (seen * transitions.move.double()).sum()
    score += transitions.start.double()[tags[first]].sum() + transitions.end.double()[tags[packing.last]].sum()
    gradient = alphas * betas
    gradient.scatter_add_(1, tags[:, None], -torch.ones_like(scales))  # before the sums: they count the gold tags too
    moved = Transitions(gradient[first].sum(0), expected * moves - seen, gradient[packing.last].sum(0))
    return Likelihood(float(partition - score), gradient, moved)


def best_tags(emissions: Float[Tensor, "n k"], transitions: Transitions, packing: Packing) -> Int[Tensor, " n"]:
    """The tags of the highest score (Viterbi) of all sentences, in packed order as the emissions."""
    best = torch.empty_like(emissions)
    choices = torch.empty(emissions.shape, dtype=torch.int64)
    columns = transitions.move.T.contiguous()  # k × k, the row being the tag after: the maximum runs along memory
    torch.add(emissions[: packing.sentences], transitions.start, out=best[: packing.sentences])
    for (earlier, _), (begin, stop) in pairwise(packing.steps):
        scores = best[earlier : earlier + stop - begin, None, :] + columns
        moved, choices[begin:stop] = scores.max(dim=2)
        torch.add(moved, emissions[begin:stop], out=best[begin:stop])
    tags = torch.empty(len(emissions), dtype=torch.int64)
    tags[packing.last] = (best[packing.last] + transitions.end).argmax(dim=1)
    for (begin, _), (after, stop) in zip(packing.steps[-2::-1], packing.steps[:0:-1], strict=True):
        rows = stop - after  # of the step before, those that go on
        tags[begin : begin + rows] = choices[after:stop].gather(1, tags[after:stop, None])[:, 0]
    return tags
