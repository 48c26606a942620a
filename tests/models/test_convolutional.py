"""What the convolutional family promises beyond the contract: what it sees, packed documents, counts, fresh weights."""

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.models.convolutional import Convolutional, ConvolutionalSettings
from inkstone.models.decoder import DecoderSettings
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)
SHAPE = dict(vocab_size=40, width=12, n_layers=3, context=32, kernel=3)


def convolutional(**changes) -> Convolutional:
    generator = torch.Generator().manual_seed(0)
    model = Convolutional(ConvolutionalSettings(**{**SHAPE, **changes}), TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # `initialise` makes every layer the identity
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def some_ids(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_a_prediction_sees_as_far_as_the_layers_reach_and_no_farther(kernel):
    model, ids = convolutional(kernel=kernel), some_ids(1, 20)
    reach = model.settings.receptive_field
    assert reach == 3 * (kernel - 1) + 1
    whole = model(ids)[0, -1]
    for distance in (reach, reach + 1):
        changed = ids.clone()
        changed[0, -distance] = (changed[0, -distance] + 1) % 40
        assert torch.equal(model(changed)[0, -1], whole) == (distance > reach)


def test_documents_of_a_row_do_not_see_one_another():
    model, ids, at = convolutional(), some_ids(1, 15), 0
    lengths = [5, 1, 9]
    document = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    packed = model(ids, document)
    for length in lengths:
        alone = model(ids[:, at : at + length])
        torch.testing.assert_close(packed[:, at : at + length], alone, rtol=1e-4, atol=1e-5)
        at += length


@pytest.mark.parametrize("tied", [True, False])
def test_counts_of_parameters(tied):
    model = convolutional(tied=tied)
    matrices = 3 * 3 * 12 * 24
    assert model.settings.matrix_parameters() == matrices + 40 * 12
    assert model.settings.flops_per_token() == 6 * (matrices + 40 * 12)
    assert model.n_parameters() == matrices + 3 * (24 + 12) + 12 + 40 * 12 * (1 if tied else 2)
    listed = list(model.matrices())
    assert sum(weight.numel() for _, weight, _ in listed) == matrices
    assert all(sum(rows) == weight.shape[0] for _, weight, rows in listed)


@pytest.mark.parametrize(("width", "layers"), [(64, 2), (128, 4), (256, 6), (512, 9)])
@pytest.mark.parametrize("kernel", [3, 4])
def test_a_rung_costs_what_the_decoder_of_that_rung_costs(width, layers, kernel):
    settings = ConvolutionalSettings.of_size(2048, width, layers, kernel=kernel)
    decoder = DecoderSettings.of_size(2048, width, layers)
    assert settings.flops_per_token() == pytest.approx(decoder.flops_per_token(), rel=0.12)


def test_what_is_given_stays():
    settings = ConvolutionalSettings.of_size(99, 64, 2, n_layers=7, context=9, dropout=0.5, tied=False)
    assert settings == ConvolutionalSettings(99, 64, 7, 9, tied=False, dropout=0.5)


def test_a_fresh_layer_is_the_identity():
    model = Convolutional(ConvolutionalSettings(**SHAPE), TOKENIZER).initialise(torch.Generator().manual_seed(0))
    ids = some_ids(2, 9)
    torch.testing.assert_close(model.hidden(ids), model.norm(model.embedding(ids)))


def test_fresh_weights_are_drawn_from_the_generator_alone():
    one, two, three = (
        Convolutional(ConvolutionalSettings(**SHAPE), TOKENIZER).initialise(torch.Generator().manual_seed(seed))
        for seed in (7, 7, 8)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.embedding.weight, three.embedding.weight)


def test_dropout_acts_in_training_alone():
    model, ids = convolutional(dropout=0.5), some_ids(1, 9)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


@pytest.mark.parametrize(
    ("changes", "message"), [(dict(kernel=0), "kernel = 0"), (dict(dropout=1.0), "from 0 to below 1")]
)
def test_shapes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        ConvolutionalSettings(**{**SHAPE, **changes})
