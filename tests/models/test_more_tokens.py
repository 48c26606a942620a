"""Models with rows for new tokens: the old ones are as they were, the new ones are means of them."""

import math

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.evaluation.evaluate import window_of
from inkstone.evaluation.likelihood import score
from inkstone.hub.folder import load, save
from inkstone.models import FAMILIES, family
from inkstone.models.more_tokens import with_more_tokens
from inkstone.tokens.extending import extend_tokenizer
from inkstone.tokens.learning import learn_tokenizer

OLD = [f"The ink stone number {n} lies on the table, and the brush of {n * n} hairs is dry. " * 3 for n in range(60)]
NEW = [f"砚台第{n}方放在桌上，毛笔的{n * n}根毛已经干了。纸上写着：墨水用完了！\n" * 3 for n in range(60)]
NEURAL = [name for name in FAMILIES if hasattr(family(name).Settings, "of_size")]


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer(iter(OLD), "byte-bpe", 400)


@pytest.fixture(scope="module")
def extension(tokenizer):
    return extend_tokenizer(tokenizer, NEW, 50)


def small(name: str, tokenizer, **given):
    kind = family(name)
    settings = kind.Settings.of_size(tokenizer.vocab_size, 32, 1, context=32, **given)
    return kind(settings, tokenizer).initialise(torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("name", NEURAL)
def test_every_family_keeps_its_rows_and_gets_means(name, tokenizer, extension):
    model = small(name, tokenizer)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    grown = with_more_tokens(model, extension.tokenizer, extension.first, extension.pieces)
    assert grown.settings.vocab_size == extension.tokenizer.vocab_size
    v, n, changed = tokenizer.vocab_size, len(extension.pieces), []
    for key, new in grown.state_dict().items():
        assert torch.equal(model.state_dict()[key], before[key])
        if new.shape == before[key].shape:
            assert torch.equal(new, before[key])
            continue
        changed.append(key)
        assert torch.equal(new[:v], before[key][:v]) and torch.equal(new[v + n :], before[key][v:])
        for number, pieces in enumerate(extension.pieces):
            assert torch.allclose(new[v + number], before[key][pieces].mean(0), atol=1e-6)
    assert "embedding.weight" in changed


@pytest.mark.parametrize("name", ["decoder", "recurrent", "convolutional", "encoder_decoder"])
def test_the_old_text_costs_about_what_it_did_and_the_model_is_a_folder(name, tokenizer, extension, tmp_path):
    model = small(name, tokenizer)
    grown = with_more_tokens(model, extension.tokenizer, extension.first, extension.pieces)
    costs = [
        score(each, each.tokenizer.encode_batch(OLD[:5]), window=window_of(each)).bits_per_byte
        for each in (model, grown)
    ]
    # Untrained, each token is about as likely as any other, so that more of them cost the logarithm of their number.
    most = math.log2(grown.settings.vocab_size / model.settings.vocab_size)
    assert costs[0] - 0.01 < costs[1] < costs[0] + most
    assert math.isfinite(score(grown, grown.tokenizer.encode_batch(NEW[:5]), window=window_of(grown)).bits_per_byte)
    save(grown, tmp_path)
    again = load(tmp_path)
    ids = torch.from_numpy(np.array([grown.tokenizer.encode(NEW[0])[:20]], dtype=np.int64))
    first, second = (each.step(ids, each.start(1))[0] for each in (grown, again))
    assert torch.equal(first, second) and torch.allclose(first.exp().sum(-1), torch.ones(1, 20), atol=1e-4)


def test_rows_that_a_checkpoint_kept_in_reserve_are_used_first(tokenizer, extension):
    kind = family("decoder")
    settings = kind.Settings.of_size(tokenizer.vocab_size + 20, 32, 1, tied=False)
    model = kind(settings, tokenizer).initialise(torch.Generator().manual_seed(0))
    few = with_more_tokens(model, extension.tokenizer, extension.first, extension.pieces[:10])
    assert few.settings.vocab_size == settings.vocab_size
    for weight, old in ((few.embedding.weight, model.embedding.weight), (few.head.weight, model.head.weight)):
        assert torch.allclose(weight[extension.first + 3], old[extension.pieces[3]].mean(0), atol=1e-6)
        assert torch.equal(weight[: extension.first], old[: extension.first])
    many = with_more_tokens(model, extension.tokenizer, extension.first, extension.pieces)
    assert many.settings.vocab_size == extension.first + len(extension.pieces)


def test_a_model_of_counts_has_no_rows(tokenizer, extension):
    kind = family("ngram")
    model = kind(kind.Settings.for_text(tokenizer.vocab_size, 1000), tokenizer)
    with pytest.raises(RecipeError, match="counted"):
        with_more_tokens(model, extension.tokenizer, extension.first, extension.pieces)
