"""Two taggers asked together: the pool of two distributions over sentences, counted out; decoding many as decoding each."""

from itertools import pairwise, product

import pytest
import torch

from inkstone.layers.crf import FORBIDDEN, Transitions
from inkstone.layers.tag_moves import best_chain, free_chain, tag_moves
from inkstone.tasks.tag_readings import Reading, best_readings, joined, pooled_chain, pooled_readings

K = 3


def chain(seed):
    draw = torch.Generator().manual_seed(seed)
    return Transitions(*(torch.randn(shape, generator=draw) for shape in ((K,), (K, K), (K,))))


def sentences(seed, lengths=(4, 1, 3)):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(length, K, generator=draw) for length in lengths]


def log_chances(scores, chain):
    """Of every tag sequence, by going through all of them."""
    total = {}
    for tags in product(range(K), repeat=len(scores)):
        value = sum(float(row[tag]) for row, tag in zip(scores, tags, strict=True))
        if chain is not None:
            value += float(chain.start[tags[0]] + chain.end[tags[-1]])
            value += sum(float(chain.move[a, b]) for a, b in pairwise(tags))
        total[tags] = value
    log_z = float(torch.logsumexp(torch.tensor(list(total.values()), dtype=torch.float64), 0))
    return {tags: value - log_z for tags, value in total.items()}


def test_many_are_decoded_as_each_by_itself():
    one, own = chain(0), sentences(1)
    for reading, scores in zip(best_readings(own, one), own, strict=True):
        tags, chance = best_chain(scores[None], one, torch.tensor([len(scores)]))
        assert reading.tags == tags[0].tolist() and reading.log_chance == pytest.approx(float(chance), abs=1e-5)
        assert torch.equal(reading.scores, scores)
    assert best_readings([], one) == []


@pytest.mark.parametrize("first_chain", [None, chain(2)], ids=["words by themselves", "a chain"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_pool_is_that_of_the_two_distributions(first_chain, share):
    first = [Reading(scores, [], 0.0, first_chain) for scores in sentences(3)]
    second = [Reading(scores, [], 0.0, chain(4)) for scores in sentences(5)]
    for a, b, both in zip(first, second, pooled_readings(first, second, share), strict=True):
        p, q = log_chances(a.scores, a.chain), log_chances(b.scores, b.chain)
        pool = {tags: (1 - share) * p[tags] + share * q[tags] for tags in p}
        log_z = float(torch.logsumexp(torch.tensor(list(pool.values())), 0))
        best = max(pool, key=lambda tags: pool[tags])
        assert tuple(both.tags) == best and both.log_chance == pytest.approx(pool[best] - log_z, abs=1e-4)


def test_what_the_first_forbids_stays_forbidden_at_every_share():
    moves = tag_moves(["B-X", "I-X", "O"])
    assert moves is not None
    second = Transitions(torch.tensor([0.0, 90.0, 0.0]), torch.full((3, 3), 5.0), torch.zeros(3))
    for share in (0.0, 0.5, 1.0):
        both = pooled_chain(free_chain(moves), second, share)
        assert both is not None and both.start[1] == FORBIDDEN and both.move[2, 1] == FORBIDDEN
        assert both.move[0, 1] == pytest.approx(5 * share)
    assert pooled_chain(None, None, 0.5) is None


def test_windows_of_one_sentence_are_decoded_as_one():
    one, (left, right) = chain(6), sentences(7, (3, 2))
    parts = best_readings([left, right], one)
    whole = joined(parts)
    assert whole == joined([whole]) and len(whole.tags) == 5
    assert whole.tags == best_readings([torch.cat([left, right])], one)[0].tags
