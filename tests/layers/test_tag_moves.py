"""Which tags may follow which, against the faults that `evaluation/tag_schemes.py` finds in every short sequence."""

import itertools

import pytest
import torch

from inkstone.evaluation.tag_schemes import scheme_faults
from inkstone.layers.crf import LinearChainCRF, Transitions, log_partition, path_score
from inkstone.layers.tag_moves import best_chain, free_chain, tag_moves

BIO = ("O", "B-A", "I-A", "B-C", "I-C")
BIOES = ("O", "B-A", "I-A", "E-A", "S-A", "B-C", "I-C", "E-C", "S-C")
WORDS = ("B", "E", "M", "S")
SCHEMES = [(BIO, "BIO"), (BIOES, "BIOES"), (WORDS, "BIOES")]


def holds(path, moves):
    first, follow, last = moves
    steps = all(follow[a, b] for a, b in itertools.pairwise(path))
    return bool(first[path[0]] and last[path[-1]] and steps)


@pytest.mark.parametrize("tags, scheme", SCHEMES)
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_chain_may_be_where_its_tags_break_nothing(tags, scheme, length):
    moves = tag_moves(tags)
    for path in itertools.product(range(len(tags)), repeat=length):
        assert holds(path, moves) == (not scheme_faults([tags[at] for at in path], scheme))


@pytest.mark.parametrize("tags", [("NOUN", "VERB"), ("n", "v"), ("O",), (), ("B-A", "NOUN")])
def test_tags_of_no_scheme_allow_everything(tags):
    assert tag_moves(tags) is None


@pytest.mark.parametrize("tags, scheme", SCHEMES)
def test_the_best_chain_is_the_best_of_those_that_hold(tags, scheme):
    generator = torch.Generator().manual_seed(0)
    moves = tag_moves(tags)
    emissions = torch.randn(8, 4, len(tags), generator=generator) * 3
    lengths = torch.tensor([4, 3, 2, 1, 4, 3, 2, 1])
    found, chances = best_chain(emissions, free_chain(moves), lengths)
    for row, length in enumerate(lengths.tolist()):
        paths = [p for p in itertools.product(range(len(tags)), repeat=length) if holds(p, moves)]
        scores = torch.stack([emissions[row, range(length), list(p)].sum() for p in paths])
        best = paths[int(scores.argmax())]
        assert tuple(found[row, :length].tolist()) == best
        assert not scheme_faults([tags[at] for at in best], scheme)
        torch.testing.assert_close(chances[row], scores.log_softmax(0).max(), rtol=1e-4, atol=1e-4)
        assert found[row, length:].eq(0).all()


def test_without_a_chain_each_word_is_by_itself():
    emissions = torch.tensor([[[0.0, 2.0], [1.0, 0.0], [9.0, 0.0]]])
    tags, chance = best_chain(emissions, None, torch.tensor([2]))
    assert tags.tolist() == [[1, 0, 0]]
    torch.testing.assert_close(chance, emissions[0, :2].log_softmax(-1).amax(-1).sum()[None])


def test_a_crf_neither_begins_nor_ends_where_a_word_is_open():
    crf = LinearChainCRF(4, tag_moves(WORDS))
    emissions = torch.randn(20, 3, 4, generator=torch.Generator().manual_seed(1)) * 4
    for path in crf.decode(emissions, torch.full((20,), 3)):
        assert not scheme_faults([WORDS[at] for at in path], "BIOES")
    chain: Transitions = crf.transitions
    size = torch.tensor([2])
    open_end = path_score(emissions[:1, :2], chain, size, torch.tensor([[3, 0]]))
    assert (open_end - log_partition(emissions[:1, :2], chain, size)).exp().item() == 0
