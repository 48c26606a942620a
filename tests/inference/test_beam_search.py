"""Beam search against exhaustive search on tables, and against `transformers` on a decoder."""

import itertools

import pytest
import torch

from inkstone.inference.beam_search import beam_search, length_penalty, without_repeats
from inkstone.inference.sampling import SamplingError

from .known_models import Markov


def every_text(model: Markov, max_tokens: int, alpha: float) -> list[tuple[float, tuple[int, ...]]]:
    """All continuations with their scores, the best first."""
    end = model.tokenizer.end
    found = []
    for length in range(1, max_tokens + 1):
        for ids in itertools.product(range(model.tokenizer.vocab_size), repeat=length):
            if end in ids[:-1] or (ids[-1] != end and length < max_tokens):
                continue
            path = (end, *ids)
            total = sum(model.table[now, then].item() for now, then in itertools.pairwise(path))
            found.append((total / length_penalty(length, alpha), ids))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(5))
def test_with_enough_beams_it_is_exhaustive_search(alpha, seed):
    model = Markov.random(letters=3, seed=seed)
    expected = every_text(model, 4, alpha)
    found = beam_search(model, [], beams=200, max_tokens=4, alpha=alpha)
    assert len(found) == len(expected)
    assert {hypothesis.ids for hypothesis in found} == {ids for _, ids in expected}
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in expected], abs=1e-5)
    assert found[0].ids == expected[0][1]


@pytest.mark.parametrize("seed", range(5))
def test_few_beams_find_the_best_text_of_a_chain(seed):
    # In a Markov chain the best text of each last token suffices, so as many beams as tokens find the best of all.
    model = Markov.random(letters=4, seed=seed, scale=2.0)
    best = beam_search(model, [], beams=5, max_tokens=5, alpha=0.0)[0]
    assert best.score == pytest.approx(every_text(model, 5, 0.0)[0][0], abs=1e-5)


def test_one_beam_is_greedy():
    model = Markov.random(letters=10, seed=1)
    ids, now = [], model.tokenizer.end
    while len(ids) < 8 and (not ids or now != model.tokenizer.end):
        now = int(model.table[now].argmax())
        ids.append(now)
    assert beam_search(model, [], beams=1, max_tokens=8)[0].ids == tuple(ids)


def test_blocked_ngrams_are_those_of_transformers():
    peer = pytest.importorskip("transformers.generation.logits_process")
    generator = torch.Generator().manual_seed(0)
    read = torch.randint(0, 4, (6, 40), generator=generator)
    scores = torch.randn(6, 4, generator=generator)
    for n in (1, 2, 3, 41):
        assert torch.equal(without_repeats(scores, read, n), peer.NoRepeatNGramLogitsProcessor(n)(read, scores))


def test_no_ngram_stands_twice():
    model = Markov.random(letters=4, seed=3, scale=4.0)
    for hypothesis in beam_search(model, [], beams=4, max_tokens=12, no_repeat_ngram=2):
        path = (model.tokenizer.end, *hypothesis.ids)
        assert len(set(itertools.pairwise(path))) == len(path) - 1


@pytest.mark.parametrize("wrong", [{"beams": 0}, {"alpha": -1.0}, {"no_repeat_ngram": -1}])
def test_values_that_mean_nothing_are_refused(wrong):
    with pytest.raises(SamplingError):
        beam_search(Markov.random(3, 0), [], **{"beams": 2, "max_tokens": 3, **wrong})
