"""What the neural n-gram model promises beyond the contract: the published formula, what it sees, counts, fresh weights."""

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.models.decoder import DecoderSettings
from inkstone.models.neural_ngram import NeuralNgram, NeuralNgramSettings
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)
SHAPE = dict(vocab_size=40, width=6, hidden=10, context=32, order=4)
DIRECT = pytest.mark.parametrize("direct", [False, True])


def neural_ngram(**changes) -> NeuralNgram:
    generator = torch.Generator().manual_seed(0)
    model = NeuralNgram(NeuralNgramSettings(**{**SHAPE, **changes}), TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def some_ids(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(seed))


@DIRECT
@pytest.mark.parametrize("order", [2, 3, 4, 7])
def test_equal_to_the_formula_position_by_position(direct, order):
    """U tanh(d + H x) + W x, x being the vectors of the last n − 1 tokens, zeros before the first."""
    model, ids = neural_ngram(order=order, direct=direct), some_ids(2, 9)
    logits = model(ids)
    h, d = model.layer.weight, model.layer.bias
    u, w = model.head.weight[:, :10], model.head.weight[:, 10:]
    for row in range(2):
        for t in range(9):
            places = range(t - order + 2, t + 1)
            x = torch.cat([model.embedding.weight[ids[row, p]] if p >= 0 else torch.zeros(6) for p in places])
            expected = u @ torch.tanh(d + h @ x) + (w @ x if direct else 0)
            torch.testing.assert_close(logits[row, t], expected, rtol=1e-4, atol=1e-5)


def test_a_prediction_sees_the_last_tokens_of_its_order_and_no_more():
    model, ids = neural_ngram(), some_ids(1, 12)
    whole = model(ids)[0, -1]
    for distance in (3, 4):
        changed = ids.clone()
        changed[0, -distance] = (changed[0, -distance] + 1) % 40
        assert torch.equal(model(changed)[0, -1], whole) == (distance == 4)


@DIRECT
def test_documents_of_a_row_do_not_see_one_another(direct):
    model, ids, at = neural_ngram(direct=direct), some_ids(1, 15), 0
    lengths = [5, 1, 9]
    document = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    packed = model(ids, document)
    for length in lengths:
        alone = model(ids[:, at : at + length])
        torch.testing.assert_close(packed[:, at : at + length], alone, rtol=1e-4, atol=1e-5)
        at += length


@DIRECT
def test_counts_of_parameters(direct):
    model = neural_ngram(direct=direct)
    matrices = 18 * 10 + 40 * (10 + (18 if direct else 0))
    assert model.settings.matrix_parameters() == matrices
    assert model.settings.flops_per_token() == 6 * matrices
    assert model.n_parameters() == matrices + 10 + 40 * 6
    assert [(weight.shape, rows) for _, weight, rows in model.matrices()] == [((10, 18), (10,))]


@pytest.mark.parametrize(("width", "layers"), [(64, 2), (128, 4), (256, 6), (512, 9)])
@pytest.mark.parametrize("order", [4, 8])
def test_a_rung_costs_what_the_decoder_of_that_rung_costs(width, layers, order):
    settings = NeuralNgramSettings.of_size(2048, width, layers, order=order)
    assert settings.order == order
    decoder = DecoderSettings.of_size(2048, width, layers)
    assert settings.flops_per_token() == pytest.approx(decoder.flops_per_token(), rel=0.12)


def test_what_is_given_stays():
    settings = NeuralNgramSettings.of_size(99, 64, 2, hidden=7, context=9, order=3, direct=True, dropout=0.1)
    assert settings == NeuralNgramSettings(99, 64, 7, 9, 3, True, 0.1)


def test_fresh_weights_are_drawn_from_the_generator_alone():
    one, two, three = (
        NeuralNgram(NeuralNgramSettings(**SHAPE), TOKENIZER).initialise(torch.Generator().manual_seed(seed))
        for seed in (7, 7, 8)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.embedding.weight, three.embedding.weight)


def test_dropout_acts_in_training_alone():
    model, ids = neural_ngram(dropout=0.5), some_ids(1, 9)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


@pytest.mark.parametrize(
    ("changes", "message"),
    [(dict(order=1), "order = 1"), (dict(hidden=0), "hidden = 0"), (dict(dropout=1.0), "from 0 to below 1")],
)
def test_shapes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        NeuralNgramSettings(**{**SHAPE, **changes})
