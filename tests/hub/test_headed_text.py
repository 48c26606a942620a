"""A run that writes texts, exported: transformers reads the same tokens and writes the same texts."""

import pytest
import tokenizers
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from inkstone.errors import RunError
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.hub.headed_layout import save_headed
from inkstone.inference.continuing import continue_texts
from inkstone.inference.writing import write_texts
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

TEXTS = ["The ink is ground on a stone.", "Two men walk.", "墨在砚上磨。", "A"]


def run(folder, **shape):
    tokenizer, _ = with_tokens(learn_tokenizer(TEXTS * 3, "byte-bpe", 300), ["<2de>", "<ph1>"])
    settings = EncoderDecoderSettings.of_size(
        tokenizer.vocab_size, 32, 2, **{"norm": "post", "n_heads": 4, "context": 64, **shape}
    )
    generator = torch.Generator().manual_seed(0)
    body = EncoderDecoder(settings, tokenizer).initialise(generator)
    with torch.no_grad():
        for weight in body.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    task = {"name": "translate", "beams": 4, "length_penalty": 0.0, "longest": 12, "context": 64}
    save_headed(Headed(body, HeadSettings("text")), folder, task)
    return tokenizer


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_writes_the_same_texts(tmp_path, tied):
    ours = run(tmp_path / "run", tied=tied)
    out = export(tmp_path / "run")
    theirs, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(out).eval(), AutoTokenizer.from_pretrained(out)
    tag = ours.backend.token_to_id("<2de>")
    body = load(tmp_path / "run").body
    for text in TEXTS:
        ids = [tag, *ours.encode(text), ours.end]
        assert tokenizer(f"<2de>{text}")["input_ids"] == ids
        (found,) = write_texts(body, [ids], max_tokens=12, beams=4, alpha=0.0)
        written = theirs.generate(torch.tensor([ids]))[0].tolist()
        assert written[0] == ours.end and written[1:] == list(found[0].ids)


def test_what_has_another_layout_is_refused_and_nothing_is_left(tmp_path):
    run(tmp_path / "run", positions="rotary")
    with pytest.raises(RunError, match="laid out neither as BART"):
        export(tmp_path / "run")
    assert not (tmp_path / "run-hf").exists()


@pytest.mark.parametrize(
    ("layout", "foreign"), [("qwen3", False), ("gpt2", False), ("llama", True)], ids=["qwen3", "gpt2", "llama-foreign"]
)
def test_transformers_goes_on_with_a_text_as_a_decoder_of_ours_does(tmp_path, layout, foreign):
    tokenizer = learn_tokenizer(TEXTS * 3, "byte-bpe", 300)
    if foreign:  # a tokenizer that puts a begin token before texts, as Llama's does
        backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
        backend.add_special_tokens(["<s>"])
        first = backend.token_to_id("<s>")
        backend.post_processor = tokenizers.processors.TemplateProcessing(
            single=["<s>", "$A"], pair=["<s>", "$A", "$B"], special_tokens=[("<s>", first)]
        )
        tokenizer = Tokenizer(backend, "foreign", tokenizer.end, {"bos_token": "<s>", "eos_token": "<|endoftext|>"})
    settings = DecoderSettings.of_size(tokenizer.vocab_size, 32, 2, layout=layout, context=64)
    generator = torch.Generator().manual_seed(0)
    body = Decoder(settings, tokenizer).initialise(generator)
    with torch.no_grad():
        for weight in body.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    task = {"name": "summarize", "beams": 1, "length_penalty": 0.0, "longest": 12, "no_repeat_ngram": 3, "context": 64}
    save_headed(Headed(body, HeadSettings("next")), tmp_path / "run", task)
    out = export(tmp_path / "run")
    theirs, reader = AutoModelForCausalLM.from_pretrained(out).eval(), AutoTokenizer.from_pretrained(out)
    for text in TEXTS:
        ids = [*tokenizer.begin, *tokenizer.encode(text), tokenizer.end]
        assert len(tokenizer.begin) == 1
        assert reader(text)["input_ids"] == ids
        for beams in (1, 4):
            (found,) = continue_texts(body.eval(), [ids], max_tokens=12, beams=beams, alpha=0.0)
            written = theirs.generate(torch.tensor([ids]), num_beams=beams)[0].tolist()
            assert written[len(ids) :] == list(found[0].ids)
