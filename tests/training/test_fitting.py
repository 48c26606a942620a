"""How a family begins: word vectors in every neural family's embedding, and the batches that it learns from."""

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.models import FAMILIES, family
from inkstone.recipe import Recipe, with_settings
from inkstone.tokens.batches import PackedBatches
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.piece_batches import PieceBatches
from inkstone.tokens.shards import write_shards
from inkstone.tokens.streams import StreamBatches
from inkstone.training.fitting import batches_of, begin, embeddings
from inkstone.vectors.embedding_start import whole_words
from inkstone.vectors.formats import read_vectors, write_vectors
from inkstone.vectors.word_vectors import WordVectors

TEXT = "the inkstone and the ink stand on the desk 砚台 砚台 墨 墨。 " * 40
WORDS = ["the", "inkstone", "ink", "desk", "stand", "砚台"]
NEURAL = [name for name in FAMILIES if hasattr(family(name).Settings, "of_size")]


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer([TEXT], "byte-bpe", 400)


@pytest.fixture(scope="module")
def shards(tokenizer, tmp_path_factory):
    return write_shards([[TEXT]], tokenizer, tmp_path_factory.mktemp("shards") / "train")


def fresh(name: str, tokenizer, **given):
    kind = family(name)
    return kind(kind.Settings.of_size(tokenizer.vocab_size, 32, 1, **given), tokenizer)


@pytest.mark.parametrize("width", [5, 40])
@pytest.mark.parametrize("name", NEURAL)
def test_the_embedding_of_every_neural_family_begins_at_word_vectors(name, width, tokenizer, shards, tmp_path):
    path = tmp_path / "words.bin"
    values = np.random.default_rng(0).normal(size=(len(WORDS), width)).astype(np.float32)
    write_vectors(WordVectors(WORDS, values), path)
    recipe = with_settings(Recipe(), ["train.device=cpu", "train.start=random", "train.dtype=float32"])
    plain = begin(fresh(name, tokenizer), shards, recipe)
    recipe.train.vectors, said = str(path), []
    model = begin(fresh(name, tokenizer), shards, recipe, said.append)
    found = whole_words(tokenizer, read_vectors(path))
    rows = torch.from_numpy(found.ids)
    changed = {key for key, weight in model.state_dict().items() if not torch.equal(weight, plain.state_dict()[key])}
    (table,) = embeddings(model)
    assert changed and all(torch.equal(model.state_dict()[key], table.weight) for key in changed)
    others = torch.ones(len(table.weight), dtype=torch.bool)
    others[rows] = False
    assert torch.equal(table.weight[others], embeddings(plain)[0].weight[others])
    columns = min(width, len(rows))
    centred = torch.from_numpy(found.vectors - found.vectors.mean(0))
    written = table.weight.detach()[rows][:, :columns]
    assert torch.allclose(
        torch.cosine_similarity(written[:1], written), torch.cosine_similarity(centred[:1], centred), atol=1e-4
    )
    assert len(said) == 1 and f"{len(rows)} of {tokenizer.vocab_size} tokens" in said[0]


def test_both_tables_of_an_encoder_decoder_begin_there(tokenizer, shards, tmp_path):
    path = tmp_path / "words.txt"
    write_vectors(WordVectors(WORDS, np.eye(len(WORDS), dtype=np.float32)), path)
    recipe = with_settings(Recipe(), ["train.device=cpu", "train.start=random", f"train.vectors={path}"])
    model = begin(fresh("encoder_decoder", tokenizer, shared=False), shards, recipe)
    first, second = embeddings(model)
    rows = torch.from_numpy(whole_words(tokenizer, read_vectors(path)).ids)
    torch.testing.assert_close(
        torch.nn.functional.normalize(first.weight[rows][:, :6]),
        torch.nn.functional.normalize(second.weight[rows][:, :6]),
    )


def test_words_of_another_language_are_refused_by_name(tokenizer, shards, tmp_path):
    path = tmp_path / "words.txt"
    write_vectors(WordVectors(["völlig"], np.ones((1, 3), np.float32)), path)
    recipe = with_settings(Recipe(), ["train.device=cpu", "train.start=random", f"train.vectors={path}"])
    with pytest.raises(RecipeError, match=r"train\.vectors = .*words\.txt.*same language"):
        begin(fresh("decoder", tokenizer), shards, recipe)


def test_each_family_learns_from_batches_of_its_kind(tokenizer, shards):
    kinds = {name: type(batches_of(fresh(name, tokenizer), shards, 16, 2, 0)) for name in NEURAL}
    assert kinds.pop("text_vae") is PieceBatches and kinds.pop("recurrent") is StreamBatches
    assert set(kinds.values()) == {PackedBatches}
