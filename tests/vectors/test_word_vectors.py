import numpy as np
import pytest
from gensim.models import KeyedVectors

from inkstone.errors import InkstoneError
from inkstone.vectors.word_vectors import UnknownWordError, WordVectors


@pytest.fixture
def vectors() -> WordVectors:
    drawn = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    return WordVectors([f"word{i}" for i in range(50)], drawn)


@pytest.fixture
def peer(vectors) -> KeyedVectors:
    keyed = KeyedVectors(8)
    keyed.add_vectors(vectors.words, vectors.vectors)
    return keyed


def same(ours, theirs):
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    np.testing.assert_allclose([cosine for _, cosine in ours], [cosine for _, cosine in theirs], atol=1e-6)


def test_neighbours_similarities_and_analogies_are_those_of_gensim(vectors, peer):
    same(vectors.neighbours("word3", 7), peer.most_similar("word3", topn=7))
    same(vectors.analogy("word1", "word2", "word3", 7), peer.most_similar(["word2", "word3"], ["word1"], topn=7))
    assert vectors.similarity("word1", "word2") == pytest.approx(float(peer.similarity("word1", "word2")), abs=1e-6)


def test_an_analogy_never_answers_with_a_given_word():
    vectors = WordVectors(["man", "king", "woman", "queen"], np.array([[1, 0], [1, 5], [1.1, 0], [0, 1]], np.float32))
    assert [word for word, _ in vectors.analogy("man", "king", "woman", 9)] == ["queen"]


def test_a_word_is_found_in_lower_case_and_the_nearest_is_named(vectors):
    assert vectors.row("WORD7") == 7 and "Word7" in vectors
    with pytest.raises(UnknownWordError, match=r"'wrod7' is none of the 50 words .* did you mean 'word7'"):
        vectors.neighbours("wrod7")


def test_words_and_vectors_must_be_as_many():
    with pytest.raises(InkstoneError, match="2 words"):
        WordVectors(["a", "b"], np.zeros((3, 2), np.float32))
