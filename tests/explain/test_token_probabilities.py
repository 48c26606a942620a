"""Probabilities of tokens against the distribution worked out whole, one position at a time."""

import math

import pytest
import torch

from inkstone.errors import InkstoneError
from inkstone.explain import token_probabilities
from inkstone.explain.token_probabilities import weighed_tokens
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.recurrent import Recurrent
from inkstone.tokens.learning import learn_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer(iter(["to be or not to be, that is the question"] * 4), "byte-bpe", 270)


def models(tokenizer):
    generator = torch.Generator().manual_seed(3)
    decoder = Decoder(DecoderSettings.of_size(270, 32, 2, context=128), tokenizer)
    recurrent = Recurrent(Recurrent.Settings.of_size(270, 32, 1), tokenizer)
    for model in (decoder, recurrent):
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(0, 0.3, generator=generator)
        yield model.eval()


def test_each_token_as_the_model_saw_it_coming(tokenizer, monkeypatch):
    monkeypatch.setattr(token_probabilities, "CHUNK", 4)  # the text is read in several parts
    ids = tokenizer.encode("to be, that is not the question")
    for model in models(tokenizer):
        weighed = weighed_tokens(model, ids, alternatives=3)
        assert [token.id for token in weighed] == ids
        assert weighed[0].log_probability is None and weighed[0].entropy is None
        for place in range(1, len(ids)):
            with torch.no_grad():
                scores, _ = model.step(torch.tensor([ids[:place]]), model.start(1), last=True)
            chances = scores[0, 0].double().exp().tolist()
            own = weighed[place]
            assert own.log_probability == pytest.approx(math.log(chances[ids[place]]), abs=1e-4)
            assert own.entropy == pytest.approx(-sum(p * math.log2(p) for p in chances if p > 0), abs=1e-4)
            best = sorted(range(len(chances)), key=lambda token: -chances[token])[:3]
            assert [token for token, _ in own.alternatives] == best
            assert [p for _, p in own.alternatives] == pytest.approx([math.log(chances[t]) for t in best], abs=1e-4)


def test_tokens_that_cannot_be_have_no_part_in_the_entropy(tokenizer):
    class Certain:
        """A model for which only two tokens can be."""

        def __init__(self):
            self.tokenizer = tokenizer

        def start(self, batch):
            return None

        def step(self, ids, state, last=False):
            scores = torch.full((1, ids.shape[1], 270), float("-inf"))
            scores[..., :2] = math.log(0.5)
            return scores, state

    (_, second) = weighed_tokens(Certain(), [0, 1])  # type: ignore[arg-type]
    assert second.entropy == pytest.approx(1)


def test_no_text_has_no_tokens(tokenizer):
    assert weighed_tokens(next(models(tokenizer)), []) == []


def test_a_text_that_is_too_long_is_refused(tokenizer):
    with pytest.raises(InkstoneError, match="129 tokens"):
        weighed_tokens(next(models(tokenizer)), [1] * 129)
