"""An encoder-decoder that copies: step by step, in beams and in batches the same as at once; learned, kept, and refused elsewhere."""

import json

import numpy as np
import pytest
import torch

from inkstone.errors import RunError
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.inference.slotted_writer import SlottedWriter
from inkstone.inference.writing import write_texts
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.tasks.predict import predict
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.tuning import tune
from tasks.test_summarize import story

TOKENIZER = learn_tokenizer(["The ink is ground on a stone. 墨在砚上磨。"] * 3, "byte-bpe", 300)
SOURCES = [TOKENIZER.encode(text) for text in ("The ink is ground", "墨在砚上", "on a stone, on a stone")]


def model(**shape) -> EncoderDecoder:
    settings = EncoderDecoderSettings.of_size(TOKENIZER.vocab_size, 32, 1, context=64, copying=True, **shape)
    generator = torch.Generator().manual_seed(0)
    made = EncoderDecoder(settings, TOKENIZER).initialise(generator)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return made.eval()


@pytest.mark.parametrize("bias", [False, True])
@torch.no_grad()
def test_step_by_step_it_says_what_it_says_at_once(bias):
    made = model(output_bias=bias)
    memory = made.encode(torch.tensor([SOURCES[0]]))
    ids = torch.tensor([[made.first, *SOURCES[2]]])
    whole, state, told = made(ids, memory=memory).log_softmax(-1), made.start(1, memory), []
    for part in (ids[:, :2], ids[:, 2:3], ids[:, 3:]):
        scores, state = made.step(part, state)
        told.append(scores)
    assert torch.allclose(torch.cat(told, 1), whole, atol=1e-4)
    assert torch.allclose(whole.exp().sum(-1), torch.ones(1, ids.shape[1]))
    plain = torch.nn.functional.linear(made.hidden(ids, memory=memory), made.output_weight).log_softmax(-1)
    assert not torch.allclose(plain, whole, atol=0.1)  # the source has a share
    alone, _ = made.step(ids, made.start(1))  # of an empty source nothing is copied
    assert torch.allclose(alone, made(ids).log_softmax(-1), atol=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_to_several_sources_are_those_to_each_alone(beams):
    made = model()
    together = write_texts(made, SOURCES, max_tokens=8, beams=beams)
    for source, own in zip(SOURCES, together, strict=True):
        (alone,) = write_texts(made, [source], max_tokens=8, beams=beams)
        assert [text.ids for text in alone] == [text.ids for text in own]
        best = own[0]
        with torch.no_grad():
            memory = made.encode(torch.tensor([source]))
            scores = made(torch.tensor([[made.first, *best.ids[:-1]]]), memory=memory).log_softmax(-1)[0]
        expected = scores[torch.arange(len(best.ids)), torch.tensor(best.ids)].tolist()
        assert list(best.log_probabilities) == pytest.approx(expected, abs=1e-3)


def test_it_is_tuned_asked_and_not_exported(tmp_path):
    rows = [dict(zip(("text", "summary"), story(np.random.default_rng(n)), strict=True)) for n in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = [
        "model.copying=true",
        "model.width=32",
        "model.n_layers=1",
        "train.steps=3",
        "train.threads=1",
        "train.device=cpu",
    ]
    tune("summarize", [str(tmp_path / "a.jsonl")], settings=settings, out=tmp_path / "run", quiet=True)
    body = load(tmp_path / "run").body
    assert body.settings.copying and {"copying.query.weight", "copying.key.weight"} <= {
        name for name, *_ in body.matrices()
    }
    assert isinstance(predict(tmp_path / "run", ["Mark that the seal is red."], device="cpu")[0]["summary"], str)
    with pytest.raises(RunError, match=r"no layout elsewhere; tune with model.copying=false"):
        export(tmp_path / "run")
    with pytest.raises(RunError, match="inkstone predict"):
        SlottedWriter(body, 1, 16, sources=True)
