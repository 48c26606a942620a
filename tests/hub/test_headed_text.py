"""A run that writes texts, exported: transformers reads the same tokens and writes the same texts."""

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from inkstone.errors import RunError
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.hub.headed_layout import save_headed
from inkstone.inference.writing import write_texts
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.learning import learn_tokenizer

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
