import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.tokens.learning import learn_tokenizer
from inkstone.vectors.embedding_start import start_from_words, whole_words
from inkstone.vectors.word_vectors import WordVectors

TEXT = "the inkstone and the ink stand on the desk 砚台 砚台 墨 墨。" * 40
WORDS = ["the", "inkstone", "ink", "desk", "砚台", "nowhere"]


def vectors(width):
    return WordVectors(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), width)).astype(np.float32) * 7)


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer([TEXT], "byte-bpe", 400)


def test_tokens_that_are_words_are_found_and_pieces_are_not(tokenizer):
    found = whole_words(tokenizer, vectors(4))
    words = [tokenizer.token_text(int(number)).strip() for number in found.ids]
    assert {"the", "ink", "desk"} <= set(words)
    assert all(tokenizer.token_text(int(i)).startswith(" ") or tokenizer.token_text(int(i)) > "⺀" for i in found.ids)
    for word, vector in zip(words, found.vectors, strict=True):
        np.testing.assert_array_equal(vector, vectors(4)[word])


@pytest.mark.parametrize("width", [4, 16, 40])
def test_rows_of_words_keep_their_angles_and_the_size_of_the_rest(tokenizer, width):
    embedding = torch.randn(tokenizer.vocab_size, 16, generator=torch.Generator().manual_seed(0)) * 0.02
    before = embedding.clone()
    found = whole_words(tokenizer, vectors(width))
    assert start_from_words(embedding, tokenizer, vectors(width)) == len(found.ids)
    rows = torch.from_numpy(found.ids)
    others = torch.ones(len(embedding), dtype=torch.bool)
    others[rows] = False
    assert torch.equal(embedding[others], before[others])
    columns = width if width <= 16 else len(found.ids)  # so few words have no more directions
    written = embedding[rows][:, :columns]
    assert torch.allclose(written.square().mean(), before[rows][:, :columns].square().mean())
    centred = torch.from_numpy(found.vectors - found.vectors.mean(0))
    assert torch.allclose(
        torch.cosine_similarity(written[:1], written), torch.cosine_similarity(centred[:1], centred), atol=1e-4
    )


def test_a_tokenizer_of_another_language_is_refused(tokenizer):
    with pytest.raises(RecipeError, match="same language"):
        start_from_words(
            torch.zeros(tokenizer.vocab_size, 4), tokenizer, WordVectors(["völlig"], np.ones((1, 4), np.float32))
        )


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["ink"], [[1.0, 2.0]]),
        (["ink", "desk"], [[1.0, 2.0], [1.0, 2.0]]),
        (["ink", "desk"], [[1.0, 2.0], [np.nan, 1.0]]),
    ],
)
def test_vectors_that_tell_nothing_apart_are_refused(tokenizer, words, values):
    embedding = torch.ones(tokenizer.vocab_size, 4)
    with pytest.raises(RecipeError, match="that differ"):
        start_from_words(embedding, tokenizer, WordVectors(words, np.array(values, np.float32)))
    assert (embedding == 1).all()
