"""What the recurrent family promises beyond the contract: packed documents, the carried state, torch's LSTM as oracle."""

import math

import pytest
import torch
import torch.nn.functional as F

from inkstone.errors import RecipeError
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.decoder import DecoderSettings
from inkstone.models.recurrent import Recurrent, RecurrentSettings
from inkstone.tokens.batches import Batch
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)
SHAPE = dict(vocab_size=40, width=12, hidden=16, n_layers=2, context=8)
CELLS = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])


def recurrent(**changes) -> Recurrent:
    settings = RecurrentSettings(**{**SHAPE, **changes})
    return Recurrent(settings, TOKENIZER).initialise(torch.Generator().manual_seed(0)).eval()


def some_ids(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(seed))


def some_batch(rows: int, length: int, seed: int = 1, continues: bool = False) -> Batch:
    return Batch(some_ids(rows, length, seed), some_ids(rows, length, seed + 100), None, continues)


@CELLS
def test_documents_of_a_row_do_not_see_one_another(cell):
    model, ids, at = recurrent(cell=cell), some_ids(1, 15), 0
    lengths = [5, 1, 9]
    document = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    packed = model(ids, document)
    for length in lengths:
        alone = model(ids[:, at : at + length])
        torch.testing.assert_close(packed[:, at : at + length], alone, rtol=1e-4, atol=1e-5)
        at += length
    changed = ids.clone()
    changed[:, :5] = (changed[:, :5] + 1) % 40
    assert torch.equal(model(changed, document)[:, 5:], packed[:, 5:])


def test_equal_to_torch_lstm():
    """Stacked layers, the projection and the tied matrix, put together from torch's own parts."""
    model, ids = recurrent(), some_ids(3, 11)
    theirs = torch.nn.LSTM(12, 16, num_layers=2, batch_first=True)
    weights = {f"{n}_l{i}": w for i, layer in enumerate(model.layers) for n, w in layer.state_dict().items()}
    theirs.load_state_dict(weights)
    h, _ = theirs(model.embedding(ids))
    expected = h @ model.projection.weight.T @ model.embedding.weight.T
    torch.testing.assert_close(model(ids), expected, rtol=1e-4, atol=1e-5)


@CELLS
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("hidden", [12, 16])
def test_counts_of_parameters(cell, tied, hidden):
    model = recurrent(cell=cell, tied=tied, hidden=hidden)
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    matrices = gates * hidden * (12 + 3 * hidden) + (hidden * 12 if tied and hidden != 12 else 0)
    out = 12 if tied else hidden
    assert model.settings.matrix_parameters() == matrices + 40 * out
    assert model.settings.flops_per_token() == 6 * (matrices + 40 * out)
    assert model.n_parameters() == matrices + 2 * 2 * gates * hidden + 40 * 12 + (0 if tied else 40 * out)
    assert (model.projection is not None) == (tied and hidden != 12)
    assert model.output_weight.shape == (40, out)
    listed = list(model.matrices())
    assert sum(weight.numel() for _, weight, _ in listed) == matrices
    assert all(sum(rows) == weight.shape[0] for _, weight, rows in listed)


@CELLS
@pytest.mark.parametrize(("width", "layers"), [(64, 2), (128, 4), (256, 6), (512, 9)])
def test_a_rung_costs_what_the_decoder_of_that_rung_costs(cell, width, layers):
    settings = RecurrentSettings.of_size(2048, width, layers, cell=cell)
    decoder = DecoderSettings(
        vocab_size=2048, width=width, n_layers=layers, n_heads=width // 32, n_kv_heads=width // 32, head_width=32,
        hidden=32 * round(width * 8 / 3 / 32), context=128 if width < 128 else 256,
    )  # fmt: skip
    assert settings.flops_per_token() == pytest.approx(decoder.flops_per_token(), rel=0.12)


def test_what_is_given_stays():
    settings = RecurrentSettings.of_size(99, 64, 2, hidden=40, n_layers=5, cell="gru", context=7, dropout=0.5)
    assert settings == RecurrentSettings(99, 64, 40, 5, 7, "gru", dropout=0.5)


def test_the_state_goes_on_where_the_batch_before_ended():
    """The second loss is that of the whole text, with the first half read but not trained through."""
    model = recurrent().train()
    ids = some_ids(3, 17)
    halves = [Batch(ids[:, :8], ids[:, 1:9], None), Batch(ids[:, 8:16], ids[:, 9:], None, continues=True)]
    model.restore_carried({})
    model.loss(Batch(*vars(halves[0]).values()))
    assert model.carried_state() == {}, "rows that do not go on leave no state"
    model.loss(Batch(halves[0].ids, halves[0].targets, None, continues=True))
    carried = model.carried_state()["carried"]
    assert not carried.requires_grad
    second = model.loss(halves[1])
    whole = F.cross_entropy(model(ids[:, :-1])[:, 8:].flatten(0, 1), ids[:, 9:].flatten())
    torch.testing.assert_close(second, whole)
    assert not torch.allclose(second, recurrent().loss(halves[1]))


def test_a_carried_state_is_restored_bit_for_bit():
    one, two = recurrent().train(), recurrent().train()
    one.loss(some_batch(3, 8, continues=True))
    two.restore_carried({name: tensor.clone() for name, tensor in one.carried_state().items()})
    later = some_batch(3, 8, seed=5, continues=True)
    assert torch.equal(one.loss(later), two.loss(later))
    fresh = recurrent().train()
    assert not torch.equal(fresh.loss(later), two.loss(later))


def test_the_end_token_at_the_first_place_of_a_row_drops_its_state():
    model = Recurrent(RecurrentSettings(**{**SHAPE, "vocab_size": 300}), TOKENIZER)
    model.initialise(torch.Generator().manual_seed(0)).train()
    model.loss(some_batch(2, 8, continues=True))
    batch = some_batch(2, 8, seed=3, continues=True)
    batch.ids[0, 0] = TOKENIZER.end
    states = model.carried_state()["carried"]
    states = torch.where(torch.tensor([True, False])[:, None], 0.0, states)
    expected = F.cross_entropy(F.linear(model.read(batch.ids, states)[0], model.output_weight).flatten(0, 1), batch.targets.flatten())  # fmt: skip
    torch.testing.assert_close(model.loss(batch), expected)


def test_no_state_is_carried_where_none_fits():
    """After evaluation, after weights that were not finite, and for another number of rows."""
    model = recurrent().train()
    model.loss(some_batch(3, 8, continues=True))
    before = model.carried_state()["carried"].clone()
    model.eval().loss(some_batch(3, 8, seed=9, continues=True))
    assert torch.equal(model.carried_state()["carried"], before)
    batch = some_batch(2, 8, seed=4, continues=True)
    torch.testing.assert_close(model.train().loss(batch), recurrent().loss(batch))
    with torch.no_grad():
        model.embedding.weight.fill_(math.nan)
    model.loss(batch)
    assert model.carried_state() == {}
    assert not [name for name in model.state_dict() if "carried" in name]


@CELLS
def test_gradients_of_the_whole_model_equal_those_through_all_logits(cell):
    model, ids, targets = recurrent(cell=cell), some_ids(2, 9), some_ids(2, 9, seed=2).flatten()
    linear_cross_entropy(model.hidden(ids).flatten(0, 1), model.output_weight, targets).backward()
    ours = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    F.cross_entropy(model(ids).flatten(0, 1), targets).backward()
    for (name, parameter), grad in zip(model.named_parameters(), ours, strict=True):
        torch.testing.assert_close(grad, parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", ["dropout", "weight_drop", "embedding_dropout"])
def test_each_dropout_acts_in_training_alone_and_from_the_generator(kind):
    model, batch = recurrent(**{kind: 0.5}), some_batch(2, 9)
    assert torch.equal(model.loss(batch), recurrent().loss(batch))
    model.train()
    losses = [model.loss(batch, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(losses[0], losses[1]) and not torch.equal(losses[0], losses[2])


@CELLS
def test_fresh_weights_are_drawn_from_the_generator_alone(cell):
    settings = RecurrentSettings(**SHAPE, cell=cell)
    one, two, three = (
        Recurrent(settings, TOKENIZER).initialise(torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.embedding.weight, three.embedding.weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(hidden=0), "hidden = 0"),
        (dict(cell="elman"), "must be one of 'rnn', 'lstm', 'gru'"),
        (dict(weight_drop=1.0), "weight_drop = 1.0, but must be from 0 to below 1"),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        RecurrentSettings(**{**SHAPE, **changes})
