"""Counted weights: a fresh model must say what the counts say."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from inkstone.models.decoder import Decoder
from inkstone.training.bigram_start import SMOOTHINGS, best_smoothing, bigram_counts, start_from_bigrams
from training.small_runs import small_decoder


class Shards:
    """A stream of ids, as token shards give it."""

    def __init__(self, ids):
        self.ids = np.asarray(ids, dtype=np.uint16)
        self.n_tokens = len(ids)

    def read(self, start, stop):
        return self.ids[start:stop]


def markov_chain(vocab_size: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(vocab_size, 0.2), size=vocab_size)
    ids = [0]
    for _ in range(length - 1):
        ids.append(generator.choice(vocab_size, p=transitions[ids[-1]]))
    return np.array(ids), transitions


def fresh(vocab_size: int, width: int) -> Decoder:
    return small_decoder(vocab_size=vocab_size, width=width, n_layers=2, tied=False)


def test_counts_are_those_of_a_plain_loop():
    ids, _ = markov_chain(9, 500, seed=1)
    counts = bigram_counts(Shards(ids), 9)  # type: ignore[arg-type]
    expected = np.zeros((9, 9))
    for a, b in pairwise(ids):
        expected[a, b] += 1
    assert np.array_equal(counts.numpy(), expected)


def test_counting_stops_at_the_limit():
    counts = bigram_counts(Shards([0, 1, 0, 1, 2, 2, 2]), 3, most=4)  # type: ignore[arg-type]
    assert counts.sum() == 3 and counts[2].sum() == 0


@pytest.mark.parametrize("width", [24, 32])
def test_a_fresh_model_predicts_the_chain_it_was_counted_from(width):
    ids, transitions = markov_chain(20, 40_000, seed=2)
    model = fresh(20, width)
    start_from_bigrams(model, bigram_counts(Shards(ids), 20))  # type: ignore[arg-type]
    with torch.no_grad():
        predicted = model(torch.arange(20)[:, None])[:, 0].softmax(-1).double().numpy()
    stationary = np.bincount(ids, minlength=20) / len(ids)
    divergence = (stationary[:, None] * transitions * np.log(transitions / predicted)).sum()
    assert divergence < 0.01


def test_a_narrow_model_is_still_better_than_the_frequencies_alone():
    ids, transitions = markov_chain(40, 40_000, seed=3)
    model = fresh(40, 16)
    start_from_bigrams(model, bigram_counts(Shards(ids), 40))  # type: ignore[arg-type]
    with torch.no_grad():
        predicted = model(torch.arange(40)[:, None])[:, 0].log_softmax(-1).double().numpy()
    stationary = np.bincount(ids, minlength=40) / len(ids)
    joint = stationary[:, None] * transitions
    assert -(joint * predicted).sum() < -(joint * np.log(stationary)).sum() - 0.2


def test_smoothing_has_the_largest_leave_one_out_likelihood():
    ids, _ = markov_chain(15, 400, seed=4)
    counts = bigram_counts(Shards(ids), 15)  # type: ignore[arg-type]
    p_next = counts.sum(0) / counts.sum()

    def left_out(smoothing):
        total = 0.0
        for x in range(15):
            for y in range(15):
                if counts[x, y]:
                    top = counts[x, y] - 1 + smoothing * p_next[y]
                    total += float(counts[x, y] * torch.log(top / (counts[x].sum() - 1 + smoothing)))
        return total

    assert best_smoothing(counts) == max(SMOOTHINGS, key=left_out)


def test_the_global_random_state_is_not_touched():
    ids, _ = markov_chain(12, 300, seed=5)
    counts = bigram_counts(Shards(ids), 12)  # type: ignore[arg-type]
    first, second = fresh(12, 8), fresh(12, 8)
    before = torch.get_rng_state()
    start_from_bigrams(first, counts)
    assert torch.equal(torch.get_rng_state(), before)
    start_from_bigrams(second, counts)
    assert torch.equal(first.head.weight, second.head.weight)  # type: ignore[union-attr]
