"""Attention maps against the attention that the models themselves compute, block by block, and against transformers' own maps."""

import threading
from unittest.mock import patch

import pytest
import torch

from inkstone.explain.attention_maps import NoAttentionError, attention_maps, has_attention
from inkstone.layers import transformer
from inkstone.layers.attention import attention
from inkstone.models import decoder as decoder_module
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.recurrent import Recurrent
from inkstone.tokens.learning import learn_tokenizer

IDS = [5, 9, 3, 200, 17, 44, 3]


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer(iter(["to be or not to be, that is the question"] * 4), "byte-bpe", 270)


def drawn(model, seed: int = 0):
    """Weights that are nowhere zero, so that every part of the model has something to say."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.3, generator=generator)
    return model.eval()


def mixed_by(module, read):
    """What `attention` was given and what it gave, in the order of the calls of a module."""
    calls = []

    def heard(q, k, v, *rest, **named):
        out = attention(q, k, v, *rest, **named)
        calls.append((q, v, out))
        return out

    with patch.object(module, "attention", heard), torch.no_grad():
        read()
    return calls


def agree(weights, calls):
    assert len(weights) == len(calls)
    for layer, (q, v, out) in zip(weights, calls, strict=True):
        spread = v.repeat_interleave(q.shape[1] // v.shape[1], dim=1)
        torch.testing.assert_close(layer[None] @ spread, out, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(layer.sum(-1), torch.ones(layer.shape[:-1]))


@pytest.mark.parametrize("both", [False, True])
def test_what_another_thread_reads_meanwhile_takes_no_part(tokenizer, both):
    if both:
        model = drawn(EncoderDecoder(EncoderDecoderSettings.of_size(270, 32, 2, n_sentinels=0), tokenizer))
    else:
        model = drawn(Decoder(DecoderSettings.of_size(270, 32, 2, context=32), tokenizer))
    alone = attention_maps(model, IDS)
    others, done = [], []

    @torch.inference_mode()
    def read():
        model.hidden(torch.tensor([[7, 7, 7]]))
        done.append(True)

    def read_beside(block, given):
        if not others:
            others.append(threading.Thread(target=read))
            others[0].start()
            others[0].join()

    hook = (model.decoder if both else model.blocks)[0].register_forward_pre_hook(read_beside)
    found = attention_maps(model, IDS)
    hook.remove()
    assert done and found.keys() == alone.keys()
    for kind, weights in found.items():
        torch.testing.assert_close(weights, alone[kind])


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
def test_a_decoder(tokenizer, layout):
    heads = {} if layout == "gpt2" else {"n_heads": 4, "n_kv_heads": 2, "head_width": 8}
    model = drawn(Decoder(DecoderSettings.of_size(270, 32, 3, layout=layout, context=32, **heads), tokenizer))
    maps = attention_maps(model, IDS)
    assert set(maps) == {"decoder"}
    assert maps["decoder"].triu(1).abs().max() == 0  # nothing that comes later
    agree(maps["decoder"], mixed_by(decoder_module, lambda: model.hidden(torch.tensor([IDS]))))


@pytest.mark.parametrize("layout", ["modern", "bert"])
def test_an_encoder(tokenizer, layout):
    settings = EncoderSettings(270, 32, 2, 4, 64, 32, layout=layout, n_types=2 if layout == "bert" else 0)
    model = drawn(Encoder(settings, tokenizer))
    types = [0, 0, 0, 0, 1, 1, 1] if layout == "bert" else None
    maps = attention_maps(model, IDS, types=types)
    segments = None if types is None else torch.tensor([types])
    agree(maps["encoder"], mixed_by(transformer, lambda: model.encode(torch.tensor([IDS]), types=segments)))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_decoder(tokenizer, norm):
    settings = EncoderDecoderSettings(270, 32, 2, 4, 64, 32, n_decoder_layers=3, norm=norm)
    model = drawn(EncoderDecoder(settings, tokenizer))
    written = [model.first, 7, 8, 9]
    maps = attention_maps(model, IDS, written=written)
    assert {name: tuple(each.shape) for name, each in maps.items()} == {
        "encoder": (2, 4, 7, 7), "decoder": (3, 4, 4, 4), "cross": (3, 4, 4, 7),
    }  # fmt: skip
    calls = mixed_by(
        transformer, lambda: model.hidden(torch.tensor([written]), memory=model.encode(torch.tensor([IDS])))
    )
    agree(maps["encoder"], calls[:2])
    agree(maps["decoder"], calls[2::2])
    agree(maps["cross"], calls[3::2])


def test_the_maps_of_transformers(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    from inkstone.hub.folder import save

    model = drawn(Decoder(DecoderSettings(270, 32, 2, 4, 2, 8, 64, 32), tokenizer))
    save(model, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    with torch.no_grad():
        expected = torch.cat(theirs(torch.tensor([IDS]), output_attentions=True).attentions)
    torch.testing.assert_close(attention_maps(model, IDS)["decoder"], expected, atol=1e-5, rtol=1e-4)


def test_a_model_is_left_as_it_was(tokenizer):
    model = drawn(Decoder(DecoderSettings.of_size(270, 32, 2, context=32), tokenizer)).train()
    attention_maps(model, IDS)
    assert model.training
    assert not any(block._forward_pre_hooks for block in model.blocks)


def test_models_without_attention_say_so(tokenizer):
    model = Recurrent(Recurrent.Settings.of_size(270, 32, 1), tokenizer)
    assert not has_attention(model)
    with pytest.raises(NoAttentionError, match="recurrent"):
        attention_maps(model, IDS)
