"""Packed, scaled and with its gradient by hand, the CRF of a corpus is the batched one under autograd."""

import pytest
import torch

from inkstone.layers.crf import (
    Transitions,
    corpus_likelihood,
    log_partition,
    marginals,
    negative_log_likelihood,
    viterbi,
)
from inkstone.layers.forward_backward import best_path, forward_backward, pack

TAGS = 4


def corpus(lengths: list[int], seed: int = 0, scale: float = 2.0):
    """Padded emissions and tags of sentences, with transitions; in double precision."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale

    rows, longest = len(lengths), max(lengths)
    tags = torch.randint(0, TAGS, (rows, longest), generator=generator)
    return draw(rows, longest, TAGS), Transitions(draw(TAGS), draw(TAGS, TAGS), draw(TAGS)), tags


def packed(padded: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    flat = torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])
    out = torch.empty_like(flat)
    out[pack(lengths).place] = flat
    return out


CORPORA = [[3], [1], [1, 1, 1], [2, 5, 1, 5, 3], [1, 7], [4, 4]]


@pytest.mark.parametrize("lengths", CORPORA)
def test_packing_puts_every_word_once_and_follows_sentences(lengths):
    packing = pack(lengths)
    assert sorted(packing.place.tolist()) == list(range(sum(lengths)))
    words = [(sentence, number) for sentence, length in enumerate(lengths) for number in range(length)]
    at = dict(zip(packing.place.tolist(), words, strict=True))
    for before, after in zip(packing.before.tolist(), packing.after.tolist(), strict=True):
        assert at[after] == (at[before][0], at[before][1] + 1)
    assert {at[place] for place in packing.last.tolist()} == {(s, length - 1) for s, length in enumerate(lengths)}
    assert len(packing.before) == sum(lengths) - len(lengths)
    for number, (begin, stop) in enumerate(packing.steps):
        assert {at[place][1] for place in range(begin, stop)} == {number}


@pytest.mark.parametrize("lengths", CORPORA)
def test_likelihood_and_gradient_are_those_of_autograd(lengths):
    emissions, transitions, tags = corpus(lengths)
    leaves = [x.requires_grad_() for x in (emissions, transitions.start, transitions.move, transitions.end)]
    expected = negative_log_likelihood(emissions, transitions, torch.tensor(lengths), tags).sum()
    expected.backward()
    with torch.no_grad():
        got = corpus_likelihood(packed(emissions, lengths), transitions, packed(tags, lengths), pack(lengths))
    assert got.nats == pytest.approx(float(expected.detach()))
    parts = (got.emissions, got.transitions.start, got.transitions.move, got.transitions.end)
    for leaf, part in zip(leaves, parts, strict=True):
        assert leaf.grad is not None
        gradient = packed(leaf.grad, lengths) if leaf is emissions else leaf.grad
        torch.testing.assert_close(part, gradient, rtol=1e-7, atol=1e-9)


def test_single_precision_and_long_sentences():
    lengths = [2000, 3]
    emissions, transitions, tags = corpus(lengths, scale=10.0)
    expected = negative_log_likelihood(emissions, transitions, torch.tensor(lengths), tags).sum()
    short = Transitions(transitions.start.float(), transitions.move.float(), transitions.end.float())
    got = corpus_likelihood(packed(emissions, lengths).float(), short, packed(tags, lengths), pack(lengths))
    assert got.nats == pytest.approx(float(expected), rel=1e-5)
    assert torch.isfinite(got.emissions).all()


@pytest.mark.parametrize("lengths", CORPORA)
def test_best_paths(lengths):
    emissions, transitions, _ = corpus(lengths, seed=3)
    expected, _ = viterbi(emissions, transitions, torch.tensor(lengths))
    t = transitions
    got = best_path(t.start, t.move, packed(emissions, lengths), t.end, pack(lengths))
    assert torch.equal(got, packed(expected, lengths))


def test_the_posterior_of_weights():
    lengths = [2, 5, 1]
    emissions, t, _ = corpus(lengths, seed=4)
    packing, sizes = pack(lengths), torch.tensor(lengths)
    got = forward_backward(t.start.exp(), t.move.exp(), packed(emissions, lengths).exp(), t.end.exp(), packing)
    torch.testing.assert_close(got.states, packed(marginals(emissions, t, sizes), lengths))
    torch.testing.assert_close(got.log_weight, log_partition(emissions, t, sizes)[packing.order])
    each = torch.stack([t.start + row for row in range(3)])  # a start of its own for each sentence, in packed order
    moved = forward_backward(each.exp(), t.move.exp(), packed(emissions, lengths).exp(), t.end.exp(), packing)
    torch.testing.assert_close(moved.log_weight, got.log_weight + torch.arange(3))
