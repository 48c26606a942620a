"""Heads on bodies: padding changes nothing, words are read where they stand, and what is saved comes back."""

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.hub.folder import load
from inkstone.hub.headed_layout import save_headed
from inkstone.models import family
from inkstone.models.headed import Headed, HeadSettings, ReadsBothWays, pool
from inkstone.tokens.example_batches import Encoded, collate
from inkstone.tokens.learning import learn_tokenizer

BODIES = ("encoder", "decoder", "recurrent", "convolutional", "neural_ngram")
LABELS = ("O", "B-X", "I-X")
HEADS = {
    "class": HeadSettings("class", LABELS, "mean", dense=True),
    "token": HeadSettings("token", LABELS),
    "crf": HeadSettings("token", LABELS, crf=True),
    "span": HeadSettings("span"),
    "vector": HeadSettings("vector"),
    "text": HeadSettings("text"),
}


def headed(name="encoder", head="class"):
    tokenizer = learn_tokenizer(["words of ink and of stone " * 30], vocab_size=280)
    kind = family(name)
    body = kind(kind.Settings.of_size(tokenizer.vocab_size, 32, 1), tokenizer)
    body.initialise(torch.Generator().manual_seed(0))
    model = Headed(body, HEADS[head]).initialise_head(torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        for weight in model.parameters():  # residual branches that begin at zero would hide mistakes
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    return model


def batch_of(*rows):
    return collate([Encoded(np.array(ids), units=np.array(units)) for ids, units in rows])


SHORT, LONG = ([7, 8, 9], [0, 2]), ([4, 5, 6, 7, 8, 9, 10], [0, 1, 4])


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("head", [name for name in HEADS if name != "text"])
@torch.no_grad()
def test_a_row_scores_alike_alone_and_beside_a_longer_one(name, head):
    model = headed(name, head)
    alone, beside = model(batch_of(SHORT)), model(batch_of(SHORT, LONG))
    size = {"token": 2, "crf": 2, "span": 3}.get(head)
    torch.testing.assert_close(beside[:1, :size] if size else beside[:1], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_source_of_several_rows_is_read_once(monkeypatch):
    model, read = headed("encoder_decoder", "text"), []
    encode = model.body.encode
    monkeypatch.setattr(model.body, "encode", lambda ids, document=None: read.append(len(ids)) or encode(ids, document))
    pairs = [([7, 8, 9], [4, 5]), ([7, 8], [6]), ([7, 8, 9], [6, 4, 5]), ([7, 8, 9], [4, 5, 6])]
    alone = [collate([Encoded(np.array(source), written=np.array(target))]) for source, target in pairs]
    together = collate([Encoded(np.array(source), written=np.array(target)) for source, target in pairs])
    for states in (model.written_states, model.written_logits):
        for row, own in zip(states(together), map(states, alone), strict=True):
            torch.testing.assert_close(row[: own.shape[1]], own[0], atol=1e-5, rtol=1e-4)
    assert read == [2, 1, 1, 1, 1] * 2
    model.train()  # where dropout is another in each row
    model.written_states(together)
    assert read[-1] == 4


@torch.no_grad()
def test_a_causal_body_reads_a_word_to_its_end_and_an_encoder_takes_its_first_token():
    for name in ("encoder", "recurrent"):
        model = headed(name, "token")
        batch = batch_of(LONG)
        states = model.states(batch)[0]
        places = [0, 1, 4] if isinstance(model.body, ReadsBothWays) else [0, 3, 6]
        torch.testing.assert_close(model.unit_states(batch)[0], states[places])


def test_pooling_leaves_padding_out():
    states = torch.arange(24.0).view(2, 3, 4)
    valid = torch.tensor([[True, True, False], [True, True, True]])
    assert pool(states, valid, "mean")[0].tolist() == [2, 3, 4, 5]
    assert pool(states, valid, "max")[0].tolist() == [4, 5, 6, 7]
    assert pool(states, valid, "last")[0].tolist() == [4, 5, 6, 7]
    assert pool(states, valid, "first")[1].tolist() == [12, 13, 14, 15]


@pytest.mark.parametrize("name", BODIES)
@torch.no_grad()
def test_what_was_saved_comes_back(tmp_path, name):
    model = headed(name, "crf")
    save_headed(model, tmp_path / "run", {"name": "tag"})
    again = load(tmp_path / "run")
    assert isinstance(again, Headed) and again.head == model.head
    assert torch.equal(again(batch_of(SHORT, LONG)), model(batch_of(SHORT, LONG)))
    assert torch.equal(again.crf.allowed_moves, model.crf.allowed_moves)
    assert not again.crf.allowed_moves[0, 2]  # O → I-X


def test_heads_that_cannot_be_are_refused():
    with pytest.raises(RecipeError, match="needs labels"):
        HeadSettings("class")
    with pytest.raises(RecipeError, match="dropout"):
        HeadSettings("class", ("a", "b"), dropout=1.0)
