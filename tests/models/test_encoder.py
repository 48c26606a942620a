"""The encoder: what is hidden and how often, its likelihood against hiding one token after the other by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from inkstone.errors import RecipeError
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.tokens.batches import Batch
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.whole_words import continues_word, spelled_pieces

TEXT = "The stonecutters grind ink. 我来到北京清华大学。"
TOKENIZER = learn_tokenizer(iter([TEXT] * 20), "byte-bpe", 275)
VOCAB, END = TOKENIZER.vocab_size, TOKENIZER.end


def encoder(**changes) -> Encoder:
    settings = EncoderSettings(
        **{**dict(vocab_size=VOCAB, width=16, n_layers=2, n_heads=4, hidden=24, context=48), **changes}
    )
    generator = torch.Generator().manual_seed(0)
    model = Encoder(settings, TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    return model


def packed(rows: int = 4, length: int = 48, seed: int = 0) -> Batch:
    """Rows of documents side by side, as training sees them."""
    stream = [END]
    generator = np.random.default_rng(seed)
    while len(stream) <= rows * length:
        words = generator.permutation(TEXT.split())
        stream += [*TOKENIZER.encode(" ".join(words)[: generator.integers(5, 40)]), END]
    window = torch.tensor(stream[: rows * length + 1])
    ids = window[:-1].view(rows, length)
    return Batch(ids, window[1:].view(rows, length), (ids == END).cumsum(1).to(torch.int32))


@pytest.mark.parametrize("layout", ["bert", "modern"])
def test_documents_of_a_row_are_read_apart(layout):
    model = encoder(layout=layout)
    one, other = torch.randint(0, VOCAB, (1, 9)), torch.randint(0, VOCAB, (1, 5))
    document = torch.tensor([[0] * 9 + [1] * 5 + [-1] * 3])
    row = torch.cat((one, other, torch.zeros(1, 3, dtype=torch.long)), dim=1)
    together = model(row, document)
    torch.testing.assert_close(together[:, :9], model(one), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[:, 9:14], model(other), rtol=1e-4, atol=1e-5)
    assert together.isfinite().all()


@pytest.mark.parametrize("layout", ["bert", "modern"])
def test_every_position_sees_every_other(layout):
    model = encoder(layout=layout)
    ids = torch.randint(0, VOCAB, (1, 8))
    before = model(ids)
    for place in range(8):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % VOCAB
        assert ((model(changed) - before).abs().amax(-1) > 1e-6).all()


def test_the_mask_is_a_row_of_its_own_and_never_predicted():
    model = encoder()
    assert model.embedding.weight.shape[0] == VOCAB + 1 and model.settings.mask_id == VOCAB
    assert model(torch.tensor([[1, VOCAB, 2]])).shape == (1, 3, VOCAB)
    inside = encoder(mask=7)
    assert inside.embedding.weight.shape[0] == VOCAB and inside.settings.mask_id == 7


def draws(model: Encoder, batch: Batch, times: int):
    """What is asked for and what is shown, many times over."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(times):
        shown, asked = model.conceal(batch.ids, batch.document, generator)
        yield asked, shown


def test_fifteen_percent_eighty_ten_ten():
    batch, ids = packed(), packed().ids
    asked, hidden, replaced, kept = 0, 0, 0, 0
    may = (ids != END) & torch.cat((batch.document[:, 1:] == batch.document[:, :-1], torch.zeros(4, 1).bool()), 1)
    shares = torch.zeros(ids.shape)
    for chosen, shown in draws(encoder(), batch, 400):
        shares += chosen
        chosen = chosen & may
        asked += int(chosen.sum())
        hidden += int((shown == VOCAB)[chosen].sum())
        kept += int((shown == ids)[chosen].sum())
        replaced += int(((shown != ids) & (shown != VOCAB))[chosen].sum())
        assert torch.equal(shown[~chosen & may], ids[~chosen & may])
    assert asked / 400 / int(may.sum()) == pytest.approx(0.15, abs=0.01)
    assert hidden / asked == pytest.approx(0.8, abs=0.02)
    assert replaced / asked == pytest.approx(0.1 * (1 - 1 / VOCAB), abs=0.015)
    assert kept / asked == pytest.approx(0.1, abs=0.015)
    assert (shares[:, -1] == 400).all()  # the last place always, the end of a document inside the row never
    assert not shares[:, :-1][~may[:, :-1]].any()


@pytest.mark.parametrize("whole", [True, False])
def test_words_are_hidden_whole(whole):
    batch = packed()
    goes_on = torch.from_numpy(continues_word(batch.ids.numpy(), spelled_pieces(TOKENIZER)))[:, 1:]
    assert goes_on.sum() > 20
    ends = batch.document[:, 1:] != batch.document[:, :-1]
    inner = goes_on & ~torch.cat((ends[:, 1:], torch.ones(4, 1).bool()), 1)
    together = [bool((a[:, 1:] == a[:, :-1])[inner].all()) for a, _ in draws(encoder(whole_words=whole), batch, 20)]
    assert all(together) if whole else not any(together)


@pytest.mark.parametrize("layout", ["bert", "modern"])
def test_the_loss_is_the_cross_entropy_of_what_was_asked(layout):
    model, batch = encoder(layout=layout), packed()
    shown, asked = model.conceal(batch.ids, batch.document, torch.Generator().manual_seed(9))
    expected = F.cross_entropy(model(shown, batch.document)[asked], batch.ids[asked])
    torch.testing.assert_close(model.loss(batch, torch.Generator().manual_seed(9), 0.0), expected)


def test_an_end_in_the_last_place_is_told_from_its_own_document():
    ids = torch.tensor([[END, 5, 6, 7, END, 8, 9, END]])
    model, document = encoder(), torch.tensor([[1, 1, 1, 1, 2, 2, 2, 2]])
    shown, asked = model.conceal(ids, document, torch.Generator().manual_seed(0))
    assert asked[0, -1] and shown[0, -1] == VOCAB
    expected = F.cross_entropy(model(shown, document)[asked], ids[asked])
    batch = Batch(ids, ids, (ids == END).cumsum(1).to(torch.int32))
    torch.testing.assert_close(model.loss(batch, torch.Generator().manual_seed(0), 0.0), expected)


def test_all_weights_learn():
    model = encoder(layout="modern")
    loss = model.train().loss(packed(), torch.Generator().manual_seed(0), 0.0)
    loss.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), name


def by_hand(model: Encoder, ids: np.ndarray) -> float:
    """−Σ log p(token | all others): one token hidden after the other."""
    text = torch.tensor([END, *ids.tolist(), END])
    total = 0.0
    for place in range(1, len(text)):
        shown = text.clone()
        shown[place] = model.settings.mask_id
        if not model.settings.closed and place < len(text) - 1:
            shown = shown[:-1]
        total -= model(shown[None])[0, place].log_softmax(-1)[text[place]].item()
    return total


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("layout", ["bert", "modern"])
def test_pseudo_log_likelihood_of_documents_by_hand(layout, closed, monkeypatch):
    model = encoder(layout=layout, closed=closed)
    generator = np.random.default_rng(0)
    documents = [generator.integers(0, END, size) for size in (0, 1, 9, 20)]
    with torch.no_grad():
        expected = [by_hand(model, ids) for ids in documents]
    np.testing.assert_allclose(model.document_nats(documents, None), expected, rtol=1e-5)
    monkeypatch.setattr("inkstone.models.encoder.PASS_TOKENS", 50)
    np.testing.assert_allclose(model.document_nats(documents, None), expected, rtol=1e-5)


@pytest.mark.parametrize("closed", [False, True])
def test_a_section_of_a_document_does_not_pay_for_its_end(closed):
    model = encoder(closed=closed)
    ids = np.random.default_rng(0).integers(0, END, 9)
    with torch.no_grad():
        whole = by_hand(model, ids)
        asks_end = torch.tensor([END, *ids.tolist(), model.settings.mask_id])
        end = -model(asks_end[None])[0, -1].log_softmax(-1)[END].item()
    found = model.document_nats([ids, ids, ids[:0]], None, [False, True, False])
    np.testing.assert_allclose(found, [whole - end, whole, 0], rtol=1e-5)


@pytest.mark.parametrize("closed", [False, True])
def test_a_long_document_is_told_from_the_context_around_each_token(closed):
    model = encoder(context=12, closed=closed)
    ids = np.random.default_rng(0).integers(0, END, 50)
    text = torch.tensor([END, *ids.tolist(), END])
    total = 0.0
    with torch.no_grad():
        for place in range(1, 52):
            last = len(text) if closed or place == 51 else len(text) - 1
            begin = max(0, min(place - 6, last - 12))
            shown = text[begin : begin + 12].clone()
            assert len(shown) == 12 and (closed or place == 51 or begin + 12 <= 51)
            shown[place - begin] = VOCAB
            total -= model(shown[None])[0, place - begin].log_softmax(-1)[text[place]].item()
    np.testing.assert_allclose(model.document_nats([ids], None), [total], rtol=1e-5)


def test_a_sample_speaks_for_all_without_bias():
    model = encoder()
    generator = np.random.default_rng(0)
    documents = [generator.integers(0, END, size) for size in (3, 12, 20)]
    whole = model.document_nats(documents, None)
    draw = torch.Generator().manual_seed(0)
    samples = np.array([model.document_nats(documents, draw, most=12) for _ in range(40)])
    error = samples.std(0) / np.sqrt(40)
    assert (samples.std(0) > 0).all() and (np.abs(samples.mean(0) - whole) < 4 * error).all()
    once, again = (model.document_nats(documents, torch.Generator().manual_seed(1), most=12) for _ in range(2))
    assert (once == again).all()


@pytest.mark.parametrize("closed", [False, True])
def test_the_next_token_is_that_of_a_mask_after_what_was_read(closed):
    model = encoder(context=10, closed=closed)
    ids = torch.randint(0, END, (2, 15), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, state = model.step(ids, model.start(2))
        assert state.length == 15
        for at in range(15):
            text = ids[:, max(0, at + 1 - (9 - closed)) : at + 1]
            asking = torch.tensor([[VOCAB] + [END] * closed] * 2)
            expected = model(torch.cat((text, asking), 1))[:, text.shape[1]].log_softmax(-1)
            torch.testing.assert_close(found[:, at], expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="not a multiple of n_heads = 3"):
        encoder(n_heads=3)
    with pytest.raises(RecipeError, match="n_layers = 0"):
        encoder(n_layers=0)
    with pytest.raises(RecipeError, match="'bert' or 'modern'"):
        encoder(layout="gpt2")
    with pytest.raises(RecipeError, match="context = 2"):
        encoder(context=2)
    with pytest.raises(RecipeError, match="heads of width 1"):
        encoder(layout="modern", n_heads=16)
    with pytest.raises(RecipeError, match="learned positions for 48"):
        encoder()(torch.zeros(1, 49, dtype=torch.long))


def test_the_shape_of_a_rung():
    settings = EncoderSettings.of_size(1000, 192, 4, dropout=0.1, width=128)
    assert (settings.width, settings.n_layers, settings.n_heads, settings.hidden) == (128, 4, 2, 512)
    model = Encoder(settings, TOKENIZER)
    matrices = sum(
        weight.numel() for name, weight in model.named_parameters() if weight.dim() == 2 and "blocks" in name
    )
    assert settings.matrix_parameters() == matrices + 128 * 128 + 1000 * 128
    assert settings.flops_per_token() < 6 * settings.matrix_parameters() + 12 * 4 * 128 * settings.context
    assert sum(w.numel() for _, w, _ in model.matrices()) == matrices
    assert all(sum(rows) == weight.shape[0] for _, weight, rows in model.matrices())
