"""Texts that go on with prompts side by side: as one prompt alone gives them, by greedy and by beam search, with and without a form."""

from itertools import pairwise

import pytest
import torch

from inkstone.inference.beam_search import beam_search
from inkstone.inference.constrained import Constraint
from inkstone.inference.continuing import continue_texts
from inkstone.inference.generation import generate
from inkstone.inference.sampling import SamplingError
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(["The ink is ground on a stone. 墨在砚上磨。"] * 3, "byte-bpe", 300)
PROMPTS = [TOKENIZER.encode(text) for text in ("The ink", "墨", "stone. The ink is ground", "a stone", "T")]


def decoder(layout: str = "qwen3") -> Decoder:
    settings = DecoderSettings.of_size(TOKENIZER.vocab_size, 32, 2, layout=layout, context=64)
    generator = torch.Generator().manual_seed(0)
    model = Decoder(settings, TOKENIZER).initialise(generator)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return model.eval()


@pytest.mark.parametrize("layout", ["qwen3", "gpt2"])
def test_side_by_side_each_prompt_is_written_to_as_alone(layout):
    model = decoder(layout)
    found = continue_texts(model, PROMPTS, max_tokens=[9, 4, 12, 1, 9])
    for prompt, limit, (text,) in zip(PROMPTS, [9, 4, 12, 1, 9], found, strict=True):
        (alone,) = generate(model, prompt, max_tokens=limit, temperature=0.0)
        assert [number for number in text.ids if number != TOKENIZER.end] == list(alone.ids)
        (searched,) = beam_search(model, prompt, 1, limit)
        assert searched.ids == text.ids and searched.score == pytest.approx(text.score, abs=1e-4)
        assert searched.log_probabilities == pytest.approx(text.log_probabilities, abs=1e-4)


def test_beams_are_those_of_one_prompt():
    model = decoder()
    found = continue_texts(model, PROMPTS, max_tokens=lambda length: length + 3, beams=3, alpha=0.9)
    for prompt, own in zip(PROMPTS, found, strict=True):
        assert own == beam_search(model, prompt, 3, len(prompt) + 3, alpha=0.9)


@pytest.mark.parametrize("beams", [1, 3])
def test_what_the_prompt_says_may_be_said_again_but_once(beams):
    model = decoder()
    prompt = [TOKENIZER.encode("ab")[0], *TOKENIZER.encode(" stone")[:1]] * 6
    ((text, *_),) = continue_texts(model, [prompt], max_tokens=20, beams=beams, no_repeat_ngram=2, ends={-1})
    pairs = list(pairwise(text.ids))
    assert len(pairs) == len(set(pairs))
    plain = beam_search(model, prompt, beams, 20, no_repeat_ngram=2, ends={-1})[0]
    freely = beam_search(model, prompt, beams, 20, no_repeat_ngram=2, ends={-1}, repeats_of_prompt=True)[0]
    assert freely.ids == text.ids
    assert not set(pairwise(prompt)) & set(pairwise([prompt[-1], *plain.ids]))


@pytest.mark.parametrize("beams", [1, 2])
def test_each_text_keeps_to_its_form(beams):
    form = Constraint.choices(["ink stone", "ink", "paper"])
    for own in continue_texts(decoder(), PROMPTS, max_tokens=20, beams=beams, constraint=form):
        assert own[0].ended and TOKENIZER.decode(own[0].ids) in ("ink stone", "ink", "paper")


def test_no_more_is_written_than_the_context_holds():
    model = decoder("gpt2")
    ((text,),) = continue_texts(model, [PROMPTS[4] * 60], max_tokens=50, ends={-1})
    assert len(text.ids) == 4
    with pytest.raises(SamplingError, match="1 to 63 tokens"):
        continue_texts(model, [PROMPTS[4] * 64], max_tokens=5)
    for settings in ({"max_tokens": 0}, {"max_tokens": 3, "beams": 0}, {"max_tokens": 3, "alpha": -1.0}):
        with pytest.raises(SamplingError, match="at least"):
            continue_texts(model, PROMPTS, **settings)
