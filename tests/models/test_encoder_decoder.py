"""The encoder-decoder: source and target, packed and apart, whole and step by step; its two losses term by term."""

import pytest
import torch
import torch.nn.functional as F

from inkstone.errors import RecipeError
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings, Memory
from inkstone.tokens.batches import Batch
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.span_corruption import PADDING, corrupt_spans

TOKENIZER = learn_tokenizer(iter(["ink on stone, 墨 on 砚"] * 20), "byte-bpe", 280)
VOCAB, END = TOKENIZER.vocab_size, TOKENIZER.end
VARIANTS = {
    "pre": {},
    "post": dict(norm="post"),
    "bart": dict(norm="post", positions="learned", embedding_norm=True, output_bias=True, activation="gelu"),
    "rotary": dict(positions="rotary", shared=False, tied=False, scaled=False, n_decoder_layers=1),
}


def model_of(variant: str = "pre", **changes) -> EncoderDecoder:
    settings = EncoderDecoderSettings(
        **{
            **dict(vocab_size=VOCAB, width=16, n_layers=2, n_heads=4, hidden=24, context=40, n_sentinels=8),
            **VARIANTS[variant],
            **changes,
        }
    )
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(settings, TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    return model


def some_ids(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, END, (rows, length), generator=torch.Generator().manual_seed(seed))


def packed(rows: int = 4, length: int = 40) -> Batch:
    ids = some_ids(rows, length + 1)
    ids[torch.rand(ids.shape, generator=torch.Generator().manual_seed(5)) < 0.07] = END
    return Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), (ids[:, :-1] == END).cumsum(1).to(torch.int32))


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_step_by_step_with_a_memory_of_padded_sources_is_each_source_alone(variant):
    model = model_of(variant)
    sources, target = [some_ids(1, 7), some_ids(1, 4, seed=1)], some_ids(2, 6, seed=2)
    source = torch.cat((sources[0], F.pad(sources[1], (0, 3), value=END)))
    document = torch.tensor([[0] * 7, [0] * 4 + [PADDING] * 3])
    state, parts = model.start(2, model.encode(source, document)), []
    for at in range(6):
        part, state = model.step(target[:, at : at + 1], state)
        parts.append(part[:, 0])
        assert state.length == at + 1
    for row in range(2):
        alone = model(target[row : row + 1], memory=model.encode(sources[row]))[0].log_softmax(-1)
        torch.testing.assert_close(torch.stack([part[row] for part in parts]), alone, rtol=1e-4, atol=1e-5)
    whole = model(target, memory=model.encode(source, document)).log_softmax(-1)
    torch.testing.assert_close(torch.stack(parts, 1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_several_targets_as_a_tree_are_each_of_them_alone(variant):
    model = model_of(variant)
    source, document = some_ids(2, 7), torch.tensor([[0] * 7, [0] * 4 + [PADDING] * 3])
    first, second = (
        some_ids(2, 3, seed=1),
        some_ids(2, 2, seed=2),
    )  # three tokens go on from one, two from the third of them
    memory = model.encode(source, document)
    root = some_ids(2, 1, seed=3)
    states, state = model.branch(root, model.start(2, memory), 0, torch.ones(2, 1, 1, dtype=torch.bool))
    itself = torch.eye(3, dtype=torch.bool).expand(2, -1, -1)
    visible = torch.cat((torch.ones(2, 3, 1, dtype=torch.bool), itself), dim=2)
    states, state = model.branch(first, state, 1, visible)
    seen = torch.tensor([[1, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1]]).bool().expand(2, -1, -1)
    leaves, state = model.branch(second, state, 2, seen)
    assert state.length == 6
    for at in range(2):
        alone = model(torch.cat((root, first[:, 2:], second[:, at : at + 1]), dim=1), memory=memory)
        torch.testing.assert_close(model.logits(states)[:, 2], alone[:, 1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.logits(leaves)[:, at], alone[:, 2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_packed_sources_and_targets_do_not_touch(variant):
    model = model_of(variant)
    sources, targets = [some_ids(1, 5), some_ids(1, 3, 1)], [some_ids(1, 4, 2), some_ids(1, 6, 3)]
    source_document = torch.tensor([[7] * 5 + [8] * 3 + [PADDING] * 2])
    document = torch.tensor([[7] * 4 + [8] * 6 + [PADDING]])
    memory = model.encode(F.pad(torch.cat(sources, 1), (0, 2), value=END), source_document)
    together = model(F.pad(torch.cat(targets, 1), (0, 1), value=END), document, memory)
    apart = [model(target, memory=model.encode(source)) for source, target in zip(sources, targets, strict=True)]
    torch.testing.assert_close(together[:, :10], torch.cat(apart, 1), rtol=1e-4, atol=1e-5)
    assert together.isfinite().all()


@torch.no_grad()
def test_rows_of_a_state_carry_their_sources():
    model = model_of()
    source, target = some_ids(3, 5), some_ids(3, 4, 1)
    state = model.start(3, model.encode(source, torch.tensor([[0] * 5, [0] * 4 + [PADDING], [0] * 5])))
    _, state = model.step(target, state)
    rows, more = [2, 1, 1], some_ids(3, 2, 2)
    found, _ = model.step(more, state.select(torch.tensor(rows)))
    for place, row in enumerate(rows):
        memory = model.encode(source[row : row + 1, : 4 if row == 1 else 5])
        whole = model(torch.cat((target[row], more[place]))[None], memory=memory).log_softmax(-1)
        torch.testing.assert_close(found[place], whole[0, -2:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_source_matters_and_without_one_it_is_the_end_token():
    model, target = model_of(), some_ids(2, 5)
    empty = model.encode(torch.tensor([[END], [END]]))
    torch.testing.assert_close(model(target), model(target, memory=empty))
    assert (model(target) - model(target, memory=model.encode(some_ids(2, 5)))).abs().max() > 0.01
    with pytest.raises(ValueError, match="2 sources for a batch of 3"):
        model.start(3, empty)


@torch.no_grad()
def test_every_state_of_the_encoder_knows_the_whole_source():
    model, source = model_of(), some_ids(1, 6)
    before = model.encode(source).states
    for place in range(6):
        changed = source.clone()
        changed[0, place] = (changed[0, place] + 1) % END
        assert ((model.encode(changed).states - before).abs().amax(-1) > 1e-6).all()


@torch.no_grad()
def test_an_output_bias_is_in_every_way_to_the_logits():
    model, ids = model_of("bart"), some_ids(1, 4)
    model.bias[5] += 50
    hidden = model.hidden(ids) @ model.output_weight.T
    for scores in (model(ids), hidden, model.step(ids, model.start(1))[0]):
        assert (scores.argmax(-1) == 5).all() and scores.shape == (1, 4, VOCAB)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_the_loss_term_by_term(variant):
    """Two rows are denoised, each document and each span by itself; two are continued, as a language model."""
    model, batch = model_of(variant), packed()
    drawn = corrupt_spans(
        batch.ids[:2], batch.document[:2], end=END, first_sentinel=VOCAB, n_sentinels=8,
        generator=torch.Generator().manual_seed(4),
    )  # fmt: skip
    denoising = []
    for row in range(2):
        for number in set(drawn.target_document[row].tolist()) - {PADDING}:
            memory = model.encode(drawn.source[row][drawn.source_document[row] == number][None])
            chosen = drawn.target_document[row] == number
            told = model(drawn.read[row][chosen][None], memory=memory)[0].log_softmax(-1)
            denoising.append(-told.gather(1, drawn.targets[row][chosen][:, None]).flatten())
    continuing = []
    for row in range(2, 4):
        for number in batch.document[row].unique():
            chosen = batch.document[row] == number
            told, _ = model.step(batch.ids[row][chosen][None], model.start(1))
            continuing.append(-told[0].gather(1, batch.targets[row][chosen][:, None]).flatten())
    expected = (torch.cat(denoising).mean() + torch.cat(continuing).mean()) / 2
    found = model.loss(batch, torch.Generator().manual_seed(4), 0.0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_single_row_is_denoised_at_times_and_without_sentinels_never():
    batch = packed(rows=1)
    continued = F.cross_entropy(model_of()(batch.ids, batch.document)[0], batch.targets[0])
    generator = torch.Generator().manual_seed(0)
    found = [abs(float(model_of().loss(batch, generator, 0.0) - continued)) < 1e-4 for _ in range(12)]
    assert any(found) and not all(found)
    plain = model_of(n_sentinels=0)
    continued = F.cross_entropy(plain(batch.ids, batch.document)[0], batch.targets[0])
    for _ in range(4):
        torch.testing.assert_close(plain.loss(batch, generator, 0.0), continued)


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_weights_learn(variant):
    model = model_of(variant)
    model.train().loss(packed(), torch.Generator().manual_seed(0), 0.0).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), name


@torch.no_grad()
def test_a_row_of_nothing_but_ends():
    ids = torch.full((2, 6), END)
    batch = Batch(ids, ids, (ids == END).cumsum(1).to(torch.int32))
    assert model_of().loss(batch, torch.Generator().manual_seed(0), 0.0).isfinite()


def test_what_cannot_be_is_refused():
    for changes, words in [
        (dict(n_heads=3), "not a multiple of n_heads = 3"),
        (dict(n_decoder_layers=0), "decoder_layers = 0"),
        (dict(norm="both"), "norm = 'both', but must be one of pre, post"),
        (dict(positions="none"), "positions = 'none'"),
        (dict(activation="tanh"), "activation = 'tanh'"),
        (dict(positions="rotary", n_heads=16), "heads of width 1"),
        (dict(width=15, n_heads=3), "width = 15 is odd"),
    ]:
        with pytest.raises(RecipeError, match=words):
            model_of(**changes)
    with pytest.raises(RecipeError, match="learned positions for 40"):
        model_of("bart")(torch.zeros(1, 41, dtype=torch.long))
    with pytest.raises(RecipeError, match="learned positions for 40"):
        model_of("bart").encode(torch.zeros(1, 41, dtype=torch.long))


def test_the_shape_of_a_rung():
    settings = EncoderDecoderSettings.of_size(1000, 192, 3, width=128, n_decoder_layers=2)
    assert (settings.width, settings.n_layers, settings.decoder_layers, settings.n_heads) == (128, 3, 2, 2)
    assert not settings.tied and EncoderDecoderSettings.of_size(20_000, 64, 2).tied
    model = EncoderDecoder(settings, TOKENIZER)
    sizes = {name: weight.numel() for name, weight, _ in model.matrices()}
    keys_and_values = sum(size for name, size in sizes.items() if "cross_key_value" in name)
    decoder = sum(size for name, size in sizes.items() if name.startswith("decoder"))
    assert settings.matrix_parameters() == decoder - keys_and_values + 1000 * 128
    assert all(sum(rows) == weight.shape[0] for _, weight, rows in model.matrices())
    assert len(sizes) == 3 * 4 + 2 * 7
    assert isinstance(model.encode(torch.zeros(1, 2, dtype=torch.long)), Memory)
