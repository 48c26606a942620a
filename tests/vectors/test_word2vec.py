import sys
from itertools import count

import numpy as np
import pytest
import torch

from inkstone.errors import MissingExtraError, RecipeError
from inkstone.vectors.word2vec import Word2VecSettings, first_vectors, keep_chances, learner, tables_for, train_word2vec
from inkstone.vectors.word2vec_reference import changes
from vectors.small_corpora import random_corpus, separation, two_topics

KINDS = [("skip-gram", 5), ("skip-gram", 0), ("cbow", 5), ("cbow", 0)]


@pytest.mark.parametrize("rows", [1, 4])
def test_changes_are_the_gradient(rows):
    generator = np.random.default_rng(0)
    x, o = generator.normal(size=(rows, 6)), generator.normal(size=(3, 6))
    labels = np.array([1.0, 0.0, 0.0])
    tx, to = torch.tensor(x, requires_grad=True), torch.tensor(o, requires_grad=True)
    scores = tx @ to.T
    torch.nn.functional.binary_cross_entropy_with_logits(
        scores, torch.tensor(labels).expand_as(scores), reduction="sum"
    ).backward()
    dx, do = changes(x, o, labels, 0.5)
    np.testing.assert_allclose(dx, -0.5 * tx.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(do, -0.5 * to.grad.numpy(), atol=1e-12)


def three_windows(method):
    """Three words, each told from its neighbours; nothing is left to chance."""
    from inkstone.vectors.corpus import corpus_of

    corpus = corpus_of([["a", "b", "c"]], min_count=1)
    settings = Word2VecSettings(method, width=4, window=1, negative=0, sample=0)
    return corpus, settings


def test_the_gradient_of_a_mean_is_divided_among_its_words():
    """word2vec.c and gensim leave the division out (İrsoy et al. 2021)."""
    corpus, settings = three_windows("cbow")
    generator = np.random.default_rng(0)
    inputs, outputs = generator.normal(size=(2, 3, 4)).astype(np.float32)
    tables = tables_for(corpus.counts, settings)
    learn = learner(False, tables, settings)
    places = [(0, [1]), (1, [0, 2]), (2, [1])]
    expected_inputs, expected_outputs = inputs.copy(), outputs.copy()
    for word, context in places:
        tx, to = torch.tensor(expected_inputs, requires_grad=True), torch.tensor(expected_outputs, requires_grad=True)
        steps = slice(tables.paths.starts[word], tables.paths.starts[word + 1])
        labels = torch.tensor(1 - tables.paths.codes[steps])
        points = torch.tensor(tables.paths.points[steps], dtype=torch.long)
        scores = to[points] @ tx[context].mean(0)
        torch.nn.functional.binary_cross_entropy_with_logits(scores, labels, reduction="sum").backward()
        expected_inputs -= 0.1 * tx.grad.numpy()
        expected_outputs -= 0.1 * to.grad.numpy()
    learn(corpus.ids, corpus.starts, inputs, outputs, 0.1, np.random.default_rng(1))
    np.testing.assert_allclose(inputs, expected_inputs, atol=1e-6)
    np.testing.assert_allclose(outputs, expected_outputs, atol=1e-6)


@pytest.mark.parametrize(("method", "negative"), KINDS)
def test_the_compiled_loop_equals_the_reference(method, negative):
    pytest.importorskip("numba")
    corpus = random_corpus()
    settings = Word2VecSettings(method, width=12, window=3, negative=negative, sample=0.05)
    tables = tables_for(corpus.counts, settings)
    outcomes = []
    for compiled in (False, True):
        generator = np.random.default_rng(3)
        inputs = first_vectors(len(corpus.words), 12, generator) * 12
        outputs = first_vectors(len(corpus.words), 12, generator) * 120  # scores beyond the table of sigmoids too
        learner(compiled, tables, settings)(corpus.ids, corpus.starts, inputs, outputs, 0.05, generator)
        outcomes.append((inputs, outputs, generator.random()))
    (inputs, outputs, draw), (fast_inputs, fast_outputs, fast_draw) = outcomes
    np.testing.assert_allclose(fast_inputs, inputs, atol=2e-5)
    np.testing.assert_allclose(fast_outputs, outputs, atol=2e-5)
    assert draw == fast_draw


@pytest.mark.parametrize(("method", "negative"), KINDS)
def test_words_of_a_topic_come_together(method, negative):
    settings = Word2VecSettings(method, width=16, negative=negative, sample=0, rate=0.1)
    learned = train_word2vec(two_topics(), settings, epochs=8)
    assert separation(learned) > 0.5


def test_a_seed_repeats_and_another_does_not():
    corpus = two_topics(10)
    once, again, other = (train_word2vec(corpus, epochs=1, seed=seed).vectors for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 1e-3


def test_threads_learn_too():
    pytest.importorskip("numba")
    settings = Word2VecSettings(width=16, sample=0, rate=0.1)
    corpus = two_topics(documents=800)
    assert separation(train_word2vec(corpus, settings, epochs=3, threads=3)) > 0.5


def test_seconds_end_it_whatever_the_epochs(monkeypatch):
    """By a clock that strikes once a job; the rate falls with it."""
    monkeypatch.setattr("inkstone.vectors.word2vec.time.monotonic", count(0.0, 1.0).__next__)
    told = []
    corpus = two_topics(4)
    train_word2vec(corpus, seconds=10, epochs=1, compiled=False, report=lambda *what: told.append(what))
    assert told == [(number / 10, (number - 1) * len(corpus.ids)) for number in range(1, 10)]


def test_frequent_words_are_passed_over_as_in_word2vec_c():
    keep = keep_chances(np.array([900, 99, 1]), 0.01)
    share = np.array([0.9, 0.099, 0.001])
    np.testing.assert_allclose(keep, np.minimum(1, (np.sqrt(share / 0.01) + 1) * 0.01 / share))
    assert keep_chances(np.array([5, 1]), 0).tolist() == [1, 1]


@pytest.mark.parametrize(
    "wrong", [{"method": "glove"}, {"width": 0}, {"window": 0}, {"negative": -1}, {"rate": 1e-9}, {"sample": -1.0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(RecipeError):
        Word2VecSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"threads": 0}, {"seconds": 0.0}])
def test_impossible_work_is_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        train_word2vec(two_topics(2), **wrong)


def test_without_numba_the_reference_runs_and_an_order_for_speed_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr("inkstone.vectors.acceleration.find_spec", lambda name: None)
    assert len(train_word2vec(two_topics(2), epochs=1)) == 12
    with pytest.raises(MissingExtraError, match=r"inkstone\[vectors\]"):
        train_word2vec(two_topics(2), compiled=True)
