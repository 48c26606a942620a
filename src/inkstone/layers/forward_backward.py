"""Forward–backward and Viterbi over a whole corpus: the two recursions that hidden Markov models and linear-chain CRFs share.

Both weigh a sequence of states z₁ … zₙ by start[z₁] · Πₜ emitted[t, zₜ] · Π move[zₜ₋₁, zₜ] · end[zₙ]. Forward–backward sums
over all sequences, Viterbi finds the best.

    αₜ = (αₜ₋₁ M) ⊙ eₜ / cₜ      cₜ makes Σⱼ αₜ[j] = 1      log Z = Σₜ log cₜ + log(αₙ · end)
    βₜ = M (eₜ₊₁ ⊙ βₜ₊₁) / cₜ₊₁     βₙ = end / (αₙ · end)       p(zₜ = j | x) = αₜ[j] βₜ[j]

Scaled, not in logarithms (Rabiner 1989, section V.A): a step is then a matrix product, and no exponential is taken of the
k² moves at each word. Sentences are packed by time: all first words, longest sentence first, then all second words, and
so on; a step runs over the sentences still alive, and no place is padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where each word of a corpus stands when its sentences are packed by time."""

    order: Int[Tensor, " sentences"]  # the sentences, longest first
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
        order=order,
        place=begins[number] + torch.repeat_interleave(rank, size),
        steps=list(zip(begins.tolist(), (begins + alive).tolist(), strict=True)),
        last=begins[size[order] - 1] + torch.arange(len(order)),
        before=after - torch.repeat_interleave(alive[:-1], alive[1:]),
        after=after,
    )


@dataclass(frozen=True)
class Posterior:
    """What the words of a corpus say about its states."""

    states: Float[Tensor, "n k"]  # p(zₜ = j | x), in packed order
    moves: Float[Tensor, "k k"]  # expected number of moves between each two states, over all sentences
    log_weight: Float[Tensor, " sentences"]  # log Z of each sentence in packed order; double precision


def forward_backward(
    start: Float[Tensor, "*sentences k"],
    moves: Float[Tensor, "k k"],
    emitted: Float[Tensor, "n k"],
    end: Float[Tensor, " k"],
    packing: Packing,
) -> Posterior:
    """The posterior of the states. All weights are at least 0, none a logarithm; `emitted` is in packed order.

    start: one for all sentences, or one a sentence in packed order. Single precision holds as long as no step's weights
    all lie below 1e-38 of the largest: scale the rows of `emitted` so that each has a 1, and add the logarithms yourself.
    """
    alphas, betas = torch.empty_like(emitted), torch.empty_like(emitted)
    scales = torch.empty(len(emitted), 1, dtype=emitted.dtype)
    alpha = start
    for begin, stop in packing.steps:
        alpha = (alpha[: stop - begin] @ moves if begin else alpha) * emitted[begin:stop]
        torch.sum(alpha, dim=1, keepdim=True, out=scales[begin:stop])
        alpha = torch.div(alpha, scales[begin:stop], out=alphas[begin:stop])

    finish = alphas[packing.last] @ end
    betas[packing.last] = end / finish[:, None]
    expected = torch.zeros_like(moves)
    ahead = emitted[:0]  # emitted · β / scale of the step after this one, for the sentences that go on
    for begin, stop in reversed(packing.steps):
        torch.mm(ahead, moves.T, out=betas[begin : begin + len(ahead)])
        expected.addmm_(alphas[begin : begin + len(ahead)].T, ahead)
        ahead = emitted[begin:stop] * betas[begin:stop] / scales[begin:stop]

    log_weight = torch.zeros(packing.sentences, dtype=torch.float64)
    logs = scales.double().log_()[:, 0]
    for begin, stop in packing.steps:
        log_weight[: stop - begin] += logs[begin:stop]
    log_weight += finish.double().log()
    return Posterior(alphas.mul_(betas), expected.mul_(moves), log_weight)


def best_path(
    start: Float[Tensor, " k"],
    moves: Float[Tensor, "k k"],
    emissions: Float[Tensor, "n k"],
    end: Float[Tensor, " k"],
    packing: Packing,
) -> Int[Tensor, " n"]:
    """The states of the highest summed score of every sentence (Viterbi), in packed order as the emissions.

    All scores are logarithms here, or the scores of a CRF; log 0 = −∞ forbids.
    """
    best = torch.empty_like(emissions)
    choices = torch.empty(emissions.shape, dtype=torch.int64)
    columns = moves.T.contiguous()  # k × k, the row being the tag after: the maximum runs along memory
    torch.add(emissions[: packing.sentences], start, out=best[: packing.sentences])
    for (earlier, _), (begin, stop) in pairwise(packing.steps):
        scores = best[earlier : earlier + stop - begin, None, :] + columns
        moved, choices[begin:stop] = scores.max(dim=2)
        torch.add(moved, emissions[begin:stop], out=best[begin:stop])
    states = torch.empty(len(emissions), dtype=torch.int64)
    states[packing.last] = (best[packing.last] + end).argmax(dim=1)
    for (begin, _), (after, stop) in zip(packing.steps[-2::-1], packing.steps[:0:-1], strict=True):
        rows = stop - after  # of the step before, those that go on
        states[begin : begin + rows] = choices[after:stop].gather(1, states[after:stop, None])[:, 0]
    return states
