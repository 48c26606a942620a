"""What the decoder promises beyond the contract: packed documents, counts of parameters, fresh weights, refusals."""

import pytest
import torch
import torch.nn.functional as F

from inkstone.errors import RecipeError
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)
SHAPE = dict(vocab_size=40, width=16, n_layers=2, n_heads=4, n_kv_heads=2, head_width=6, hidden=24, context=32)
LAYOUTS = ["qwen3", "llama", "gpt2"]


def decoder(layout: str, **changes) -> Decoder:
    generator = torch.Generator().manual_seed(0)
    model = Decoder(DecoderSettings(**{**SHAPE, "layout": layout, **changes}), TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def some_ids(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_documents_of_a_row_do_not_see_one_another(layout):
    """Packed into one row, each document has the logits that it has alone; changing one changes no other."""
    model = decoder(layout)
    lengths = [5, 1, 9]
    document = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    ids = some_ids(1, 15)
    packed = model(ids, document)
    at = 0
    for length in lengths:
        alone = model(ids[:, at : at + length])
        torch.testing.assert_close(packed[:, at : at + length], alone, rtol=1e-4, atol=1e-4)
        at += length
    changed = ids.clone()
    changed[:, :5] = (changed[:, :5] + 1) % 40
    assert torch.equal(model(changed, document)[:, 5:], packed[:, 5:])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_and_log_probabilities_agree(layout):
    model, ids = decoder(layout), some_ids(2, 9)
    log_probabilities, _ = model.step(ids, model.start(2))
    torch.testing.assert_close(log_probabilities, model(ids).log_softmax(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tied", [True, False])
def test_counts_of_parameters(layout, tied):
    """Every matrix by its published shape, added up by hand."""
    model = decoder(layout, tied=tied, n_kv_heads=4 if layout == "gpt2" else 2)
    width, hidden, vocab = 16, 24, 40
    kv = (4 if layout == "gpt2" else 2) * 6
    attention = width * 24 + 2 * width * kv + 24 * width
    feed_forward = (2 if layout == "gpt2" else 3) * width * hidden
    matrices = 2 * (attention + feed_forward)
    assert model.settings.matrix_parameters() == matrices + vocab * width
    vectors = {
        "qwen3": 2 * (2 * width + 2 * 6) + width,
        "llama": 2 * 2 * width + width,
        "gpt2": 2 * (4 * width + (24 + 2 * kv) + width + hidden + width) + 2 * width + 32 * width,
    }[layout]
    assert model.n_parameters() == matrices + vectors + vocab * width * (1 if tied else 2)
    listed = list(model.matrices())
    assert sum(weight.numel() for _, weight, _ in listed) == matrices
    assert all(sum(rows) == weight.shape[0] for _, weight, rows in listed)
    assert {name: rows for name, _, rows in listed}["blocks.0.qkv.weight"] == (24, kv, kv)


def test_operations_of_a_step_are_six_for_each_weight_and_those_of_attention():
    settings = DecoderSettings(**SHAPE)
    # Two products of width n_heads·head_width over half the context, 2 operations each, forward and twice backward.
    attention = 2 * 2 * 3 * SHAPE["n_layers"] * 24 / 2
    for context in (10, 20):
        assert settings.flops_per_token(context) == 6 * settings.matrix_parameters() + attention * context
    assert settings.flops_per_token() == settings.flops_per_token(SHAPE["context"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fresh_weights_are_drawn_from_the_generator_alone(layout):
    settings = DecoderSettings(**SHAPE, layout=layout)
    one, two = (Decoder(settings, TOKENIZER).initialise(torch.Generator().manual_seed(7)) for _ in range(2))
    three = Decoder(settings, TOKENIZER).initialise(torch.Generator().manual_seed(8))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.embedding.weight, three.embedding.weight)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fresh_block_is_the_identity(layout):
    model = Decoder(DecoderSettings(**SHAPE, layout=layout), TOKENIZER).initialise(torch.Generator().manual_seed(0))
    ids = some_ids(2, 9)
    x = model.embedding(ids)
    if model.positions is not None:
        x = x + model.positions(torch.arange(9))
    torch.testing.assert_close(model.hidden(ids), model.norm(x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_the_whole_model_equal_those_through_all_logits(layout):
    model, ids, targets = decoder(layout), some_ids(2, 9), some_ids(2, 9, seed=2).flatten()
    linear_cross_entropy(model.hidden(ids).flatten(0, 1), model.output_weight, targets).backward()
    ours = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    F.cross_entropy(model(ids).flatten(0, 1), targets).backward()
    for (name, parameter), grad in zip(model.named_parameters(), ours, strict=True):
        torch.testing.assert_close(grad, parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_dropout_acts_in_training_alone():
    model, ids = decoder("gpt2", dropout=0.5), some_ids(1, 9)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


def test_learned_positions_end_with_the_context():
    model = decoder("gpt2")
    model(some_ids(1, 32))
    with pytest.raises(RecipeError, match="33 tokens, but this model has learned positions for 32"):
        model(some_ids(1, 33))
    _, state = model.step(some_ids(1, 30), model.start(1))
    with pytest.raises(RecipeError, match="34 tokens"):
        model.step(some_ids(1, 4), state)
    decoder("qwen3")(some_ids(1, 60))


@pytest.mark.parametrize(
    ("changes", "message"),
    [(dict(n_kv_heads=3), "not a multiple"), (dict(head_width=5), "odd"), (dict(n_layers=0), "n_layers = 0")],
)
def test_shapes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        DecoderSettings(**{**SHAPE, **changes})
