"""What every family of language model promises (models/base.py), held for each family and layout."""

import pytest
import tokenizers
import torch

from inkstone.models import FAMILIES
from inkstone.models.base import LanguageModel
from inkstone.models.convolutional import Convolutional, ConvolutionalSettings
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.hmm import HMM, HMMSettings
from inkstone.models.neural_ngram import NeuralNgram, NeuralNgramSettings
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.models.recurrent import Recurrent, RecurrentSettings
from inkstone.models.text_vae import TextVAE, TextVAESettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

VOCAB = 40
TOKENIZER = learn_tokenizer(iter(["ink on stone, 墨 on 砚"] * 20), "byte-bpe", 280)


def decoder(layout: str, **changes) -> Decoder:
    shape = dict(n_kv_heads=4, head_width=4) if layout == "gpt2" else dict(n_kv_heads=2, head_width=6)
    settings = DecoderSettings(
        **{**dict(vocab_size=VOCAB, width=16, n_layers=2, n_heads=4, hidden=24, context=64, layout=layout), **shape, **changes}
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    model = Decoder(settings, TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # `initialise` makes every block the identity
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def recurrent(cell: str, **changes) -> Recurrent:
    settings = RecurrentSettings(
        **{**dict(vocab_size=VOCAB, width=12, hidden=16, n_layers=2, context=16, cell=cell), **changes}
    )
    return Recurrent(settings, TOKENIZER).initialise(torch.Generator().manual_seed(0)).eval()


def convolutional(**changes) -> Convolutional:
    settings = ConvolutionalSettings(
        **{**dict(vocab_size=VOCAB, width=16, n_layers=3, context=16, kernel=3), **changes}
    )
    generator = torch.Generator().manual_seed(0)
    model = Convolutional(settings, TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # `initialise` makes every layer the identity
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def neural_ngram(**changes) -> NeuralNgram:
    settings = NeuralNgramSettings(**{**dict(vocab_size=VOCAB, width=8, hidden=16, context=16, order=4), **changes})
    return NeuralNgram(settings, TOKENIZER).initialise(torch.Generator().manual_seed(0)).eval()


EARLY_END = Tokenizer(TOKENIZER.backend, end=3)  # some families read the end token, whatever they are given to read


def encoder(**changes) -> Encoder:
    settings = EncoderSettings(
        **{**dict(vocab_size=VOCAB, width=16, n_layers=2, n_heads=4, hidden=24, context=64), **changes}
    )
    generator = torch.Generator().manual_seed(0)
    model = Encoder(settings, EARLY_END).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def encoder_decoder(**changes) -> EncoderDecoder:
    settings = EncoderDecoderSettings(
        **{**dict(vocab_size=VOCAB, width=16, n_layers=2, n_heads=4, hidden=24, context=64), **changes}
    )
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(settings, EARLY_END).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def text_vae(body: str) -> TextVAE:
    settings = TextVAESettings(vocab_size=VOCAB, width=16, n_layers=2, n_heads=2, context=8, latent=4, body=body)
    generator = torch.Generator().manual_seed(0)
    model = TextVAE(settings, EARLY_END).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # `initialise` makes every block of the Transformer the identity
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def ngram(**changes) -> NGram:
    backend = tokenizers.Tokenizer.from_str(TOKENIZER.backend.to_str())
    model = NGram(
        NGramSettings(**{**dict(vocab_size=VOCAB, order=4), **changes}), Tokenizer(backend, "byte-bpe", end=3)
    )
    documents = torch.randint(4, VOCAB, (200, 15), generator=torch.Generator().manual_seed(0)).numpy()
    model.fit([*documents, *some_ids(seed=1).numpy()], None, torch.Generator(), lambda text: None)
    return model


def hmm() -> HMM:
    generator = torch.Generator().manual_seed(0)
    model = HMM(HMMSettings(vocab_size=VOCAB, states=6), TOKENIZER).initialise(generator)
    model.transition.copy_(torch.rand(6, 6, generator=generator).pow(4))  # `initialise` makes it almost even
    model.transition.div_(model.transition.sum(1, keepdim=True))
    return model


MODELS = {
    "decoder": {
        "qwen3": lambda: decoder("qwen3"),
        "qwen3-untied": lambda: decoder("qwen3", tied=False),
        "llama": lambda: decoder("llama", n_kv_heads=1, attention_bias=True, hidden_bias=True),
        "gpt2": lambda: decoder("gpt2"),
    },
    "recurrent": {
        "rnn": lambda: recurrent("rnn"),
        "lstm": lambda: recurrent("lstm"),
        "gru": lambda: recurrent("gru", tied=False),
    },
    "ngram": {
        "kneser-ney": lambda: ngram(),
        "kneser-ney-pruned": lambda: ngram(min_count=2),
        "add-k": lambda: ngram(order=2, smoothing="add-k", k=0.5),
        "stupid-backoff": lambda: ngram(smoothing="stupid-backoff"),
    },
    "convolutional": {
        "convolutional": lambda: convolutional(),
        "convolutional-untied": lambda: convolutional(tied=False, kernel=2),
    },
    "neural_ngram": {
        "neural-ngram": lambda: neural_ngram(),
        "neural-ngram-direct": lambda: neural_ngram(direct=True, order=2),
    },
    "text_vae": {
        "text-vae-lstm": lambda: text_vae("lstm"),
        "text-vae-transformer": lambda: text_vae("transformer"),
    },
    "encoder": {
        "bert": lambda: encoder(),
        "bert-closed": lambda: encoder(closed=True, mask=5, whole_words=False),
        "encoder-modern": lambda: encoder(layout="modern"),
    },
    "hmm": {"hmm": lambda: hmm()},
    "encoder_decoder": {
        "transformer-2017": lambda: encoder_decoder(norm="post"),
        "bart": lambda: encoder_decoder(norm="post", positions="learned", embedding_norm=True, output_bias=True),
        "encoder-decoder-rotary": lambda: encoder_decoder(positions="rotary", tied=False, n_decoder_layers=1),
    },
}
CASES = [pytest.param(make, id=name) for variants in MODELS.values() for name, make in variants.items()]


def some_ids(rows: int = 3, length: int = 11, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=CASES)
def model(request):
    with torch.no_grad():
        yield request.param()


def test_every_family_is_held_to_the_contract():
    assert MODELS.keys() == FAMILIES.keys()


def test_it_is_a_language_model(model):
    assert isinstance(model, LanguageModel)


def test_log_probabilities_sum_to_one(model):
    log_probabilities, state = model.step(some_ids(), model.start(3))
    assert log_probabilities.shape == (3, 11, VOCAB) and state.length == 11
    torch.testing.assert_close(log_probabilities.exp().sum(-1), torch.ones(3, 11))


@pytest.mark.parametrize("pieces", [[1] * 11, [4, 7], [1, 9, 1], [10, 1]])
def test_read_in_pieces_is_read_as_a_whole(model, pieces):
    ids = some_ids()
    whole, _ = model.step(ids, model.start(3))
    state, parts, at = model.start(3), [], 0
    for length in pieces:
        part, state = model.step(ids[:, at : at + length], state)
        parts.append(part)
        at += length
        assert state.length == at
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_only_the_last_on_request(model):
    ids = some_ids()
    whole, _ = model.step(ids, model.start(3))
    last, state = model.step(ids, model.start(3), last=True)
    assert last.shape == (3, 1, VOCAB) and state.length == 11
    torch.testing.assert_close(last, whole[:, -1:], rtol=1e-4, atol=1e-5)


def test_what_comes_later_changes_nothing_before(model):
    ids = some_ids()
    changed = ids.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % VOCAB
    one, _ = model.step(ids, model.start(3))
    other, _ = model.step(changed, model.start(3))
    torch.testing.assert_close(one[:, :6], other[:, :6])
    assert not torch.allclose(one[:, 6:], other[:, 6:])


@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1, 1, 0], [2]])
def test_rows_of_a_state_can_be_chosen_and_repeated(model, rows):
    """As beam search does: choose, read on, choose again."""
    ids, more = some_ids(), some_ids(len(rows), 3, seed=2)
    _, state = model.step(ids, model.start(3))
    continued, state = model.step(more, state.select(torch.tensor(rows)))
    whole, _ = model.step(torch.cat((ids[rows], more), dim=1), model.start(len(rows)))
    torch.testing.assert_close(continued, whole[:, -3:], rtol=1e-4, atol=1e-5)
    again, _ = model.step(more[:1], state.select(torch.tensor([0])))
    whole, _ = model.step(torch.cat((ids[rows[:1]], more[:1], more[:1]), dim=1), model.start(1))
    torch.testing.assert_close(again, whole[:, -3:], rtol=1e-4, atol=1e-5)


def test_rows_do_not_see_one_another(model):
    ids = some_ids()
    together, _ = model.step(ids, model.start(3))
    alone, _ = model.step(ids[1:2], model.start(1))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_two_states_do_not_disturb_one_another(model):
    ids, other = some_ids(), some_ids(seed=5)
    _, one = model.step(ids[:, :5], model.start(3))
    _, two = model.step(other[:, :5], model.start(3))
    continued, _ = model.step(ids[:, 5:], one)
    whole, _ = model.step(ids, model.start(3))
    torch.testing.assert_close(continued, whole[:, 5:], rtol=1e-4, atol=1e-5)
    assert two.length == 5


def test_a_long_text_read_token_by_token_outgrows_the_first_cache(model):
    ids = some_ids(1, 64)
    whole, _ = model.step(ids, model.start(1))
    _, state = model.step(ids[:, :60], model.start(1))
    for at in range(60, 64):
        part, state = model.step(ids[:, at : at + 1], state)
        torch.testing.assert_close(part[:, 0], whole[:, at], rtol=1e-4, atol=1e-5)
