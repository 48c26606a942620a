"""The encoder of speech: lengths, padding, shapes that cannot be, and the head that stands on it."""

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.hub.folder import load
from inkstone.hub.headed_layout import save_headed
from inkstone.models import body_family
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.speech_encoder import SpeechEncoder, SpeechEncoderSettings
from inkstone.tokens.example_batches import Encoded, ExampleBatches, collate, in_order
from inkstone.tokens.learning import learn_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer(["two four ink"], "character", 300)


def encoder(tokenizer, **given):
    settings = SpeechEncoderSettings.of_size(tokenizer.vocab_size, 32, 2, **{"bins": 20, "channels": 4, **given})
    return SpeechEncoder(settings, tokenizer).initialise(torch.Generator().manual_seed(0)).eval()


def recordings(*lengths, bins=20):
    draw = np.random.default_rng(0)
    return [Encoded(np.zeros(0, np.int64), features=draw.normal(size=(n, bins)).astype("f4")) for n in lengths]


@pytest.mark.parametrize(("subsampling", "expected"), [(4, [1, 1, 2, 10, 11]), (2, [1, 2, 3, 20, 21])])
def test_states_are_as_many_as_the_convolutions_give(tokenizer, subsampling, expected):
    body, lengths = encoder(tokenizer, subsampling=subsampling), torch.tensor([1, 4, 5, 40, 41])
    assert body.states_of(lengths).tolist() == expected
    for frames, states in zip(lengths.tolist(), expected, strict=True):
        found, heard = body.listen(torch.zeros(1, frames, 20), torch.tensor([frames]))
        assert found.shape == (1, states, 32) and heard.tolist() == [states]


def test_a_recording_is_heard_the_same_beside_a_longer_one(tokenizer):
    model = Headed(encoder(tokenizer), HeadSettings("ctc")).eval()
    short, long = recordings(21, 40)
    both, lengths = model.heard(collate([short, long]))
    alone, own = model.heard(collate([short]))
    assert lengths[0] == own[0] == 6 and torch.allclose(both[0, :6], alone[0], atol=1e-5)
    assert torch.allclose(both.exp().sum(-1), torch.ones(2, 10), atol=1e-5)
    assert both.shape[-1] == tokenizer.vocab_size


def test_batches_hold_recordings_of_like_length():
    examples = recordings(*([10] * 20 + [50] * 20))
    batches = ExampleBatches(examples, rows=20, seed=0)
    assert sorted(batches.batch(number).features.shape[1] for number in range(2)) == [10, 50]
    assert sorted(batches.batch(number).places for number in range(2)) == [200, 1000]
    assert [len(rows) for rows in in_order(examples, 500)] == [10, 10, 20]


def test_a_saved_model_hears_the_same(tokenizer, tmp_path):
    model = Headed(encoder(tokenizer), HeadSettings("ctc")).initialise_head(torch.Generator().manual_seed(1)).eval()
    save_headed(model, tmp_path, {"name": "transcribe"})
    again, batch = load(tmp_path), collate(recordings(30))
    assert isinstance(again, Headed) and torch.equal(again.heard(batch)[0], model.heard(batch)[0])
    assert again.body.settings == model.body.settings and body_family("speech_encoder") is SpeechEncoder


def test_shapes_and_heads_that_cannot_be_are_refused(tokenizer):
    for setting, value in (("kernel", 4), ("subsampling", 3), ("n_heads", 5), ("dropout", 1.0), ("bins", 0)):
        with pytest.raises(RecipeError, match=setting):
            SpeechEncoderSettings.of_size(300, 32, 1, **{setting: value})
    with pytest.raises(RecipeError, match="a task that reads texts"):
        Headed(encoder(tokenizer), HeadSettings("class", ("a", "b")))
    text = body_family("text_cnn")
    with pytest.raises(RecipeError, match="listens; take a speech_encoder"):
        Headed(text(text.Settings(300, 8), tokenizer), HeadSettings("ctc"))


def test_it_learns_in_bfloat16_as_well(tokenizer):
    model = Headed(encoder(tokenizer), HeadSettings("ctc")).to(torch.bfloat16)
    found, _ = model.heard(collate(recordings(20)))
    assert found.dtype == torch.float32 and torch.isfinite(found).all() and model.body.omega.dtype == torch.float32
