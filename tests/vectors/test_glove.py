from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings as effort, strategies as st

from inkstone.errors import RecipeError, TextError
from inkstone.vectors import cooccurrence, glove_reference
from inkstone.vectors.cooccurrence import cooccurrences
from inkstone.vectors.corpus import corpus_of
from inkstone.vectors.glove import GloveSettings, train_glove
from vectors.small_corpora import random_corpus, separation, two_topics


@effort(max_examples=40)
@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=1, max_size=6), st.integers(1, 5))
def test_counts_are_those_of_a_plain_loop(documents, window):
    if len({word for document in documents for word in document}) < 2:
        return
    corpus = corpus_of(documents, min_count=1, longest=5)
    expected: dict[tuple[int, int], float] = {}
    for piece in np.split(corpus.ids, corpus.starts[1:-1]):
        for place, word in enumerate(piece):
            for other in range(max(0, place - window), min(len(piece), place + window + 1)):
                if other != place:
                    key = (int(word), int(piece[other]))
                    expected[key] = expected.get(key, 0) + 1 / abs(place - other)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(cooccurrence, "BLOCK_WORDS", 4)
    with monkey.context():
        cells = cooccurrences(corpus, window)
    monkey.undo()
    found = {
        (int(row), int(column)): float(weight)
        for row, column, weight in zip(cells.rows, cells.columns, cells.weights, strict=True)
    }
    assert found == pytest.approx({pair: weight for pair, weight in expected.items() if pair[0] <= pair[1]})


def glove_c(rows, columns, weights, w, c, wg, cg, rate, x_max, power):
    """The step as GloVe.c writes it: sums begin at one and hold the squares of rate · gradient."""
    for i, j, x in zip(rows, columns, weights, strict=True):
        error = w[i, :-1] @ c[j, :-1] + w[i, -1] + c[j, -1] - np.log(x)
        slope = rate * error * min(1.0, (x / x_max) ** power)
        dw, dc = np.append(slope * c[j, :-1], slope), np.append(slope * w[i, :-1], slope)
        w[i] -= dw / np.sqrt(wg[i])
        c[j] -= dc / np.sqrt(cg[j])
        wg[i] += dw**2
        cg[j] += dc**2


def some_cells(n=200, words=15):
    generator = np.random.default_rng(0)
    rows, columns = generator.integers(0, words, (2, n)).astype(np.int32)
    weights = (generator.random(n) * 20 + 0.1).astype(np.float32)
    values = generator.normal(size=(2, words, 9)).astype(np.float32)
    return rows, columns, weights, values


def test_the_reference_steps_as_glove_c():
    rows, columns, weights, values = some_cells()
    w, c = values.astype(np.float64)
    glove_c(rows, columns, weights.astype(float), w, c, np.ones_like(w), np.ones_like(c), 0.05, 10.0, 0.75)
    sums = np.full_like(values, 1 / 0.05**2)
    glove_reference.learn(rows, columns, weights, *values, *sums, 10.0, 0.75)
    np.testing.assert_allclose(values, np.stack([w, c]), atol=1e-4)


def test_the_compiled_loop_equals_the_reference():
    compiled = pytest.importorskip("inkstone.vectors.glove_compiled")
    outcomes = []
    for learn in (glove_reference.learn, compiled.learn):
        rows, columns, weights, values = some_cells()
        sums = np.full_like(values, 400)
        learn(rows, columns, weights, *values, *sums, np.float32(10), np.float32(0.75))
        outcomes.append((values, sums))
    np.testing.assert_allclose(outcomes[1][0], outcomes[0][0], atol=2e-5)
    np.testing.assert_allclose(outcomes[1][1], outcomes[0][1], rtol=1e-4)


@pytest.mark.parametrize("compiled", [False, None])
def test_words_of_a_topic_come_together(compiled):
    learned = train_glove(two_topics(), GloveSettings(width=8, rate=0.1), epochs=20, compiled=compiled)
    assert separation(learned) > 0.5


def test_products_of_vectors_come_to_the_logarithms_of_counts():
    """All the mathematics in one sentence: after the fit, w · c + b + d = log X."""
    corpus = random_corpus(words=8)
    cells = cooccurrences(corpus, 3)
    generator = np.random.default_rng(0)
    values = (generator.random((2, len(corpus.words), 13), np.float32) - 0.5) / 13
    sums = np.full_like(values, 25)
    for _ in range(200):
        for rows, columns in ((cells.rows, cells.columns), (cells.columns, cells.rows)):
            glove_reference.learn(rows, columns, cells.weights, *values, *sums, 1.0, 0.75)
    w, c = values[0][cells.rows], values[1][cells.columns]
    fitted = (w[:, :-1] * c[:, :-1]).sum(1) + w[:, -1] + c[:, -1]
    assert np.abs(fitted - np.log(cells.weights)).mean() < 0.05


def test_a_seed_repeats_and_threads_learn_too():
    pytest.importorskip("numba")
    corpus = two_topics()
    once, again = (train_glove(corpus, epochs=2, seed=1).vectors for _ in range(2))
    np.testing.assert_array_equal(once, again)
    many = train_glove(corpus, GloveSettings(width=8, rate=0.1), epochs=20, threads=2)
    assert separation(many) > 0.5


def test_seconds_end_it(monkeypatch):
    monkeypatch.setattr("inkstone.vectors.glove.time.monotonic", count(0.0, 1.0).__next__)
    told = []
    train_glove(two_topics(4), seconds=5, compiled=False, report=lambda share, done: told.append(share))
    assert told == [0.2, 0.4, 0.6, 0.8]


@pytest.mark.parametrize("wrong", [{"width": 0}, {"window": 0}, {"x_max": 0.0}, {"rate": 0.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(RecipeError):
        GloveSettings(**wrong)


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_a_text_in_which_no_word_has_a_neighbour_is_refused(seconds):
    corpus = corpus_of([["ink"], ["stone"], ["ink"]], min_count=1)
    with pytest.raises(TextError, match="no two words stand within 10 words"):
        train_glove(corpus, seconds=seconds, compiled=False)
