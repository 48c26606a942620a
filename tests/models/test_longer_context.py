"""A decoder stretched to a longer context; against transformers in tests/hub/test_folder.py."""

import pytest
import torch

from inference.decoders import decoder
from inkstone.errors import RecipeError
from inkstone.inference.prefill import context_of
from inkstone.inference.single_token import SingleToken
from inkstone.models.longer_context import SCALINGS, longer_context


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_weights_are_shared_and_the_model_stays_as_it_is(scaling):
    model = decoder(context=16)
    before = model.omega.clone()
    stretched = longer_context(model, 64, scaling)
    assert stretched.settings.context == 64 and model.settings.context == 16
    assert torch.equal(model.omega, before) and not torch.equal(stretched.omega, before)
    for one, other in zip(model.parameters(), stretched.parameters(), strict=True):
        assert one is other
    assert stretched.tokenizer is model.tokenizer
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        expected = stretched.step(ids, stretched.start(1))[0]
        fast = SingleToken(stretched, 1)
        _, state = fast.step(ids[:, :30], fast.start(1))
        for place in range(30, 40):
            found, state = fast.step(ids[:, place : place + 1], state)
            torch.testing.assert_close(found[:, 0], expected[:, place], atol=1e-4, rtol=0)
    assert context_of(stretched) == 64


def test_the_slowest_pair_turns_as_much_more_slowly_as_the_context_is_longer():
    model = decoder(context=16)
    for scaling in SCALINGS:
        slower = model.omega / longer_context(model, 64, scaling).omega
        assert slower[-1] == pytest.approx(4, rel=1e-4)
        assert slower[0] == pytest.approx(4 if scaling == "linear" else 1, rel=1e-4)


@pytest.mark.parametrize(
    ("model", "context", "scaling", "words"),
    [
        ({}, 200, "yarm", "did you mean 'yarn'"),
        ({}, 96, "yarn", "has 96 already"),
        ({"layout": "gpt2"}, 200, "yarn", "rotary positions"),
    ],
)
def test_what_cannot_be_is_refused(model, context, scaling, words):
    with pytest.raises(RecipeError, match=words):
        longer_context(decoder(**model), context, scaling)
    with pytest.raises(RecipeError, match="stretched already"):
        longer_context(longer_context(decoder(), 200), 400)
