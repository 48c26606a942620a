"""The CRF against the enumeration of all tag sequences, against autograd, and under lengths and constraints."""

import itertools
import math

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.layers.crf import (
    LinearChainCRF,
    Transitions,
    bio_moves,
    log_partition,
    marginals,
    negative_log_likelihood,
    path_score,
    viterbi,
)

TAGS = 3
LENGTHS = torch.tensor([5, 1, 4, 2])


def chain(seed: int = 0) -> tuple[torch.Tensor, Transitions]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * 2

    return draw(len(LENGTHS), 5, TAGS), Transitions(draw(TAGS), draw(TAGS, TAGS), draw(TAGS))


def all_paths(emissions, transitions, length) -> dict[tuple[int, ...], float]:
    """The score of every tag sequence of one sentence, by its definition."""
    scores = {}
    for path in itertools.product(range(TAGS), repeat=length):
        score = transitions.start[path[0]] + transitions.end[path[-1]]
        score = score + sum(emissions[at, tag] for at, tag in enumerate(path))
        scores[path] = float(score + sum(transitions.move[a, b] for a, b in itertools.pairwise(path)))
    return scores


@pytest.mark.parametrize("seed", range(3))
def test_partition_marginals_and_best_path_by_enumeration(seed):
    emissions, transitions = chain(seed)
    partition = log_partition(emissions, transitions, LENGTHS)
    probabilities = marginals(emissions, transitions, LENGTHS)
    tags, best = viterbi(emissions, transitions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_paths(emissions[row], transitions, length)
        expected = torch.tensor(list(scores.values()), dtype=torch.float64).logsumexp(0)
        torch.testing.assert_close(partition[row], expected)
        for at, tag in itertools.product(range(length), range(TAGS)):
            mass = sum(math.exp(score - expected) for path, score in scores.items() if path[at] == tag)
            assert float(probabilities[row, at, tag]) == pytest.approx(mass)
        assert not probabilities[row, length:].any()
        path = max(scores, key=scores.__getitem__)
        assert tuple(tags[row, :length].tolist()) == path and not tags[row, length:].any()
        torch.testing.assert_close(float(best[row]), scores[path])


def test_the_score_of_a_path_and_its_likelihood():
    emissions, transitions = chain()
    tags = torch.randint(0, TAGS, (4, 5), generator=torch.Generator().manual_seed(1))
    tags[1, 1:] = -100  # padding may hold anything
    got = path_score(emissions, transitions, LENGTHS, tags)
    likelihood = negative_log_likelihood(emissions, transitions, LENGTHS, tags)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_paths(emissions[row], transitions, length)
        score = scores[tuple(tags[row, :length].tolist())]
        assert float(got[row]) == pytest.approx(score)
        total = torch.tensor(list(scores.values())).logsumexp(0)
        assert float(likelihood[row]) == pytest.approx(float(total) - score, rel=1e-5)


def test_marginals_are_the_gradient_of_the_partition():
    emissions, transitions = chain()
    emissions.requires_grad_()
    log_partition(emissions, transitions, LENGTHS).sum().backward()
    torch.testing.assert_close(emissions.grad, marginals(emissions.detach(), transitions, LENGTHS))


def test_the_gradient_of_the_likelihood_is_that_of_finite_differences():
    emissions, transitions = chain()
    tags = torch.randint(0, TAGS, (4, 5), generator=torch.Generator().manual_seed(1))

    def loss(emissions, start, move, end):
        return negative_log_likelihood(emissions, Transitions(start, move, end), LENGTHS, tags)

    inputs = (emissions, transitions.start, transitions.move, transitions.end)
    assert torch.autograd.gradcheck(loss, tuple(x.clone().requires_grad_() for x in inputs))


def test_what_stands_after_the_end_changes_nothing():
    emissions, transitions = chain()
    other = emissions.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        other[row, length:] = 50.0
    for function in (log_partition, marginals, lambda *x: viterbi(*x)[0], lambda *x: viterbi(*x)[1]):
        torch.testing.assert_close(function(other, transitions, LENGTHS), function(emissions, transitions, LENGTHS))


def test_long_sentences_neither_overflow_nor_vanish():
    emissions = torch.full((1, 3000, TAGS), 40.0)
    zero = Transitions(torch.zeros(TAGS), torch.zeros(TAGS, TAGS), torch.zeros(TAGS))
    got = log_partition(emissions, zero, torch.tensor([3000]))
    torch.testing.assert_close(got, torch.tensor([3000 * (40.0 + math.log(3))]), rtol=1e-4, atol=0)


def test_forbidden_moves_have_no_probability_and_are_never_chosen():
    names = ["O", "B-A", "I-A", "B-B", "I-B"]
    generator = torch.Generator().manual_seed(0)
    crf = LinearChainCRF(len(names), bio_moves(names))
    with torch.no_grad():
        for weight in crf.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    emissions = torch.randn(50, 6, len(names), generator=generator) * 5
    lengths = torch.randint(1, 7, (50,), generator=generator)
    for path in crf.decode(emissions, lengths):
        before = "O"
        for name in (names[tag] for tag in path):
            assert not name.startswith("I-") or (before != "O" and before[2:] == name[2:])
            before = name
    mass = {True: 0.0, False: 0.0}
    with torch.no_grad():
        for path in itertools.product(range(len(names)), repeat=3):
            follows = crf.allowed_first[path[0]] and all(crf.allowed_moves[a, b] for a, b in itertools.pairwise(path))
            mass[bool(follows)] += float((-crf(emissions[:1, :3], torch.tensor([3]), torch.tensor([path]))).exp())
    assert mass[True] == pytest.approx(1, abs=1e-4) and mass[False] == 0


def test_constraints_leave_the_gradient_finite():
    crf = LinearChainCRF(3, bio_moves(["O", "B-A", "I-A"]))
    crf(torch.randn(2, 4, 3), torch.tensor([4, 2]), torch.tensor([[0, 1, 2, 0], [1, 2, 0, 0]])).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in crf.parameters())
    assert crf.start.grad[2] == 0 and crf.move.grad[0, 2] == 0


def test_constraints_must_fit_the_tags():
    with pytest.raises(RecipeError, match="3 tags, but there are 4"):
        LinearChainCRF(4, bio_moves(["O", "B-A", "I-A"]))
    with pytest.raises(RecipeError, match="at least 1"):
        LinearChainCRF(0)
