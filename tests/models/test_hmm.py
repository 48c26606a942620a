"""The hidden Markov model against enumeration of all state sequences and hmmlearn; learning that never makes it worse."""

import itertools
import math

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError, TextError
from inkstone.models.hmm import HMM, PIECE, Counts, HMMSettings, cut
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 5), "byte-bpe", 270)
END = TOKENIZER.end
VOCAB = TOKENIZER.vocab_size


def hmm(states: int = 3, vocab_size: int = VOCAB, seed: int = 0) -> HMM:
    """A model whose tables are far from even."""
    generator = torch.Generator().manual_seed(seed)
    model = HMM(HMMSettings(vocab_size, states=states), TOKENIZER).initialise(generator)
    model.transition.copy_(torch.rand(states, states, generator=generator).pow(3))
    model.transition.div_(model.transition.sum(1, keepdim=True))
    model.initial.copy_(torch.rand(states, generator=generator))
    model.initial.div_(model.initial.sum())
    model._middle.copy_(model.initial.flip(0))
    return model


def enumerated(model: HMM, start: torch.Tensor, ids: list[int]) -> dict[tuple[int, ...], float]:
    """p(ids, states) for every sequence of states, by the definition."""
    joint = {}
    for path in itertools.product(range(model.settings.states), repeat=len(ids)):
        p = float(start[path[0]]) * math.prod(float(model.emission[i, z]) for i, z in zip(ids, path, strict=True))
        joint[path] = p * math.prod(float(model.transition[a, b]) for a, b in itertools.pairwise(path))
    return joint


def test_step_gives_the_probability_of_the_whole_document():
    model, ids = hmm(), [5, 7, 5, 1, END]
    log_probabilities, _ = model.step(torch.tensor([[END, *ids[:-1]]]), model.start(1))
    total = float(sum(log_probabilities[0, at, token] for at, token in enumerate(ids)))
    assert total == pytest.approx(math.log(sum(enumerated(model, model.initial, ids).values())), rel=1e-5)


def test_after_the_end_nothing_is_known():
    model = hmm()
    read, _ = model.step(torch.tensor([[END, 5, 7, END, 8, 9]]), model.start(1))
    fresh, _ = model.step(torch.tensor([[END, 8, 9]]), model.start(1))
    torch.testing.assert_close(read[:, 3:], fresh)


def test_expected_counts_by_enumeration():
    model = hmm()
    pieces = [np.array([5, 7, 5, END]), np.array([1]), np.array([7, 7, 1])]
    opening = np.array([True, True, False])
    got = model.expect(pieces, opening)
    expected = Counts(*(torch.zeros_like(x) for x in (got.initial, got.middle, got.transition, got.emission)), 0.0, 8)
    for piece, opens in zip(pieces, opening, strict=True):
        joint = enumerated(model, model.initial if opens else model._middle, piece.tolist())
        total = sum(joint.values())
        expected.nats -= math.log(total)
        for path, p in joint.items():
            (expected.initial if opens else expected.middle)[path[0]] += p / total
            for a, b in itertools.pairwise(path):
                expected.transition[a, b] += p / total
            for token, state in zip(piece.tolist(), path, strict=True):
                expected.emission[token, state] += p / total
    for name in ("initial", "middle", "transition", "emission"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), rtol=1e-4, atol=1e-6)
    assert got.nats == pytest.approx(expected.nats, rel=1e-5) and got.tokens == 8


def some_documents(number: int = 30, seed: int = 0) -> list[np.ndarray]:
    """Documents in which one kind of token follows another."""
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 6, size) + 10 * (np.arange(size) % 3) for size in draw.integers(1, 40, number)]


def test_the_likelihood_never_falls():
    model = hmm(states=5)
    pieces, opening = cut(some_documents(), END)
    nats = []
    for _ in range(25):
        counts = model.expect(pieces, opening)
        nats.append(counts.nats)
        model.maximise(counts)
    assert all(later <= earlier + 1e-3 for earlier, later in itertools.pairwise(nats))
    assert nats[-1] < 0.85 * nats[1]


def test_hmmlearn_agrees_on_likelihood_and_on_a_step_of_learning():
    learn = pytest.importorskip("hmmlearn.hmm")
    model = hmm()
    documents = some_documents(8)
    peer = learn.CategoricalHMM(3, n_iter=1, init_params="", n_features=VOCAB)
    peer.startprob_, peer.transmat_ = (x.double().numpy() for x in (model.initial, model.transition))
    peer.emissionprob_ = model.emission.T.double().numpy()
    for table in (peer.startprob_, peer.transmat_, peer.emissionprob_):
        table /= table.sum(-1, keepdims=True)  # exact in double precision, as it demands
    text, lengths = np.concatenate(documents)[:, None], [len(document) for document in documents]
    counts = model.expect(documents, np.ones(len(documents), dtype=bool))
    assert counts.nats == pytest.approx(-peer.score(text, lengths), rel=1e-5)
    peer.fit(text, lengths)
    model.maximise(counts)
    np.testing.assert_allclose(model.transition, peer.transmat_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.emission.T, peer.emissionprob_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.initial, peer.startprob_, rtol=1e-3, atol=1e-5)


def fitted(seed: int = 0, **settings) -> HMM:
    model = HMM(HMMSettings(VOCAB, states=4, **settings), TOKENIZER)
    model.fit(some_documents(100), None, torch.Generator().manual_seed(seed), lambda line: None)
    return model


def test_fitting_finds_what_follows_what_and_is_the_same_under_a_seed():
    model, lines = fitted(), []
    assert torch.equal(model.emission, fitted().emission)
    assert not torch.equal(model.emission, fitted(seed=1).emission)
    log_probabilities, _ = model.step(torch.tensor([[END, 3, 12]]), model.start(1), last=True)
    kinds = log_probabilities[0, 0, :30].exp().view(3, 10).sum(1)
    assert kinds.argmax() == 2 and kinds[2] > 0.7  # after a token of the second kind comes one of the third
    HMM(HMMSettings(VOCAB, states=2), TOKENIZER).fit(
        some_documents(), 0.2, torch.Generator().manual_seed(0), lines.append
    )
    assert lines and "bits per token" in lines[0]


def test_every_token_stays_possible():
    model = fitted()
    log_probabilities, _ = model.step(torch.tensor([[END, 200, 201]]), model.start(1))
    assert torch.isfinite(log_probabilities).all()


def test_documents_are_cut_without_loss():
    documents = [np.arange(3), np.arange(2 * PIECE) % 50, np.zeros(0, dtype=np.int64)]
    pieces, opening = cut(documents, END)
    assert opening.tolist() == [True, True, False, False, True]
    assert np.concatenate(pieces).tolist() == [x for d in documents for x in (*d.tolist(), END)]


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="states = 0"):
        HMMSettings(10, states=0)
    with pytest.raises(RecipeError, match="pseudo_tokens = 0"):
        HMMSettings(10, pseudo_tokens=0.0)
    with pytest.raises(TextError, match="no text"):
        HMM(HMMSettings(VOCAB), TOKENIZER).fit([], None, torch.Generator(), print)


def test_more_states_for_more_text():
    states = [HMMSettings.for_text(100, tokens).states for tokens in (100, 200_000, 5_000_000)]
    assert states == sorted(states) and states[0] < states[-1]
    assert HMMSettings.for_text(100, 100, states=7).states == 7
