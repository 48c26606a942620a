"""The graph of a compiled step with the weights of models, run as it stands, against the decoder's own step."""

import pytest
import torch

from inkstone.inference import fast_decoder as module
from inkstone.inference.compiled_step import block_arguments, head_arguments
from inkstone.inference.fast_decoder import FastDecoder, fast_decoder
from inkstone.inference.generation import generate
from inkstone.inference.onednn_products import define
from inkstone.inference.quantisation import in_precision
from inkstone.inference.single_token import for_generation
from inkstone.inference.step_graph import Blocks, Head
from inkstone.layers.rotary import RotaryScaling
from inkstone.layers.slot_cache import SlotCache
from inkstone.models.quantised_decoder import dense, quantised

from .decoders import decoder

SHAPES = {
    "qwen3": {},
    "llama": {"layout": "llama", "rotary_scaling": RotaryScaling("linear", 2.0)},
    "untied-one-key": {"tied": False, "n_kv_heads": 1},
    "biases": {"layout": "llama", "attention_bias": True, "hidden_bias": True},
    "gpt2": {"layout": "gpt2"},
}
# How far log-probabilities may be from those of the same weights in single precision: for one row, and for several, whose
# activations are rounded as well. A scale that is lost would put them off by more than one.
FORMS = {"float32": (1e-4, 1e-4), "bfloat16": (0.15, 0.3), "int8": (1e-4, 0.3), "int4": (1e-4, 0.3)}


class AsItStands:
    """In the place of `StepRunner`: the graph without a compiler."""

    def __init__(self, plan):
        self.graphs = Blocks(plan.settings, plan.kinds, plan.single), Head(plan.settings, plan.head)
        structure = torch.utils._pytree.tree_structure
        self.shapes = structure(block_arguments(plan)[0]), structure(head_arguments(plan)[0])

    def blocks(self, leaves):
        return [self.graphs[0](*torch.utils._pytree.tree_unflatten(leaves, self.shapes[0]))]

    def head(self, leaves):
        return [self.graphs[1](*torch.utils._pytree.tree_unflatten(leaves, self.shapes[1]))]


@pytest.fixture
def uncompiled(monkeypatch):
    define()
    monkeypatch.setattr(module, "find", AsItStands)


def in_form(model, form):
    """A model in this form, and the same weights in single precision."""
    if form in ("int8", "int4"):
        rounded = quantised(model, int(form[3]))
        return rounded, dense(rounded)
    found = in_precision(model, form)
    return found, in_precision(found, "float32")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [1, 3])
def test_it_gives_the_log_probabilities_of_the_decoder(form, shape, rows, uncompiled):
    model, plain = in_form(decoder(**SHAPES[shape]), form)
    fast = FastDecoder(model, eager=model)
    assert fast.compiled == {"one row": True, "several": True}
    ids = torch.randint(0, 300, (rows, 75), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, _ = plain.step(ids, plain.start(rows))
        _, state = fast.step(ids[:, :60], fast.start(rows))
        for place in range(60, 75):  # past 64, where the cache grows
            found, state = fast.step(ids[:, place : place + 1], state, last=True)
            assert (found[:, 0] - expected[:, place]).abs().max() < FORMS[form][rows > 1]
    assert state.length == 75 and found.dtype == torch.float32


@pytest.mark.parametrize("form", ["float32", "int8"])
def test_rows_have_lengths_and_slots_of_their_own(form, uncompiled):
    model, plain = in_form(decoder(), form)
    fast = FastDecoder(model, eager=model)
    s = model.settings
    cache = SlotCache(s.n_layers, 6, s.n_kv_heads, 96, s.head_width, torch.zeros(1))
    generator = torch.Generator().manual_seed(2)
    texts = [torch.randint(0, 300, (1, length), generator=generator) for length in (3, 40, 17)]
    slots, lengths = torch.tensor([5, 0, 2]), torch.tensor([3, 40, 17])
    new = torch.randint(0, 300, (3, 2), generator=generator)
    with torch.inference_mode():
        for slot, text in zip(slots, texts, strict=True):
            fast.step(text, cache.rows(slot[None], torch.tensor([0]), text.shape[1]))
        for more in range(2):
            found, _ = fast.step(new[:, more : more + 1], cache.rows(slots, lengths + more))
        for row, text in enumerate(texts):
            expected, _ = plain.step(torch.cat((text, new[row : row + 1]), 1), plain.start(1), last=True)
            assert (found[row] - expected[0]).abs().max() < FORMS[form][1]


def test_weights_that_bfloat16_holds_are_read_as_such_and_stay_as_they_are(uncompiled):
    model = decoder()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16())
    fast = fast_decoder(model, 1)
    step = fast._step_for(1)
    assert any(leaf.dtype == torch.bfloat16 for part in step.parts for leaf in part)
    ids = torch.arange(20)[None] + 50
    with torch.inference_mode():
        expected, _ = model.step(ids, model.start(1), last=True)
        _, state = fast.step(ids[:, :19], fast.start(1))
        found, _ = fast.step(ids[:, 19:], state)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_greedy_texts_are_the_same_and_forgotten_tokens_leave_no_trace(uncompiled):
    model = decoder()
    settings = {"temperature": 0, "max_tokens": 150}  # past the context, where reading begins anew
    for samples in (1, 2):
        found = generate(model, "Ink", samples=samples, **settings)
        assert [one.ids for one in found] == [
            one.ids for one in generate(model, "Ink", compiled=False, **settings)
        ] * samples


def test_models_that_it_does_not_know_are_left_alone(uncompiled):
    for model in (decoder().double(), decoder().half()):
        assert for_generation(model, 1) is model
