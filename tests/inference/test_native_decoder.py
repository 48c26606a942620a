"""Decoders in compiled code against their own steps."""

import ctypes
import os
import platform
import signal

import pytest
import torch

from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.generation import generate
from inkstone.inference.native import library
from inkstone.inference.native.decoder import NativeDecoder, fits, in_panels
from inkstone.inference.quantisation import in_precision
from inkstone.inference.single_token import SingleToken
from inkstone.inference.slotted import slotted
from inkstone.inference.slotted_decoder import SlottedDecoder
from inkstone.layers.rotary import RotaryScaling
from inkstone.models.quantised_decoder import dense, quantised

from .decoders import decoder
from .known_models import Markov

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler here")

SHAPES = {
    "qwen3": {},
    "llama": {"layout": "llama", "rotary_scaling": RotaryScaling("linear", 2.0)},
    "yarn": {"rotary_scaling": RotaryScaling("yarn", 4.0, original_context=32)},
    "untied-one-key": {"tied": False, "n_kv_heads": 1},
    "biases": {"layout": "llama", "attention_bias": True, "hidden_bias": True},
    "odd": {"width": 36, "head_width": 20, "hidden": 44, "vocab_size": 301},  # none a multiple of 16
    "gpt2": {"layout": "gpt2"},
}
# How far log-probabilities may be from those of the same weights in single precision. A scale that is lost would put them off by
# more than one.
FORMS = {"float32": 1e-4, "widened": 1e-4, "bfloat16": 0.15, "int8": 0.3, "int4": 0.3}


def in_form(model, form):
    """A model in this form, and the same weights in single precision."""
    if form in ("int8", "int4"):
        rounded = quantised(model, int(form[3]))
        return rounded, dense(rounded)
    if form == "widened":
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(weight.bfloat16())
        return model, model
    found = in_precision(model, form)
    return found, in_precision(found, "float32")


def native(model, threads=2) -> NativeDecoder:
    return NativeDecoder(model, library.build(), threads)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_gives_the_log_probabilities_of_the_decoder(form, shape):
    model, plain = in_form(decoder(**SHAPES[shape]), form)
    if not fits(model):
        assert (form, shape) == ("int4", "odd")  # groups of four
        return
    fast = native(model)
    ids = torch.randint(0, 300, (14, 75), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, _ = plain.step(ids, plain.start(14))
        found, state = fast.step(ids[:, :60], fast.start(14))  # more rows than go through together
        assert (found - expected[:, :60]).abs().max() < FORMS[form]
        for place in range(60, 73):  # past 64, where the cache grows
            found, state = fast.step(ids[:, place : place + 1], state)
            assert (found[:, 0] - expected[:, place]).abs().max() < FORMS[form]
        found, state = fast.step(ids[:, 73:], state, last=True)
        assert (found[:, 0] - expected[:, 74]).abs().max() < FORMS[form]
    assert state.length == 75 and found.dtype == torch.float32
    torch.testing.assert_close(found.logsumexp(-1), torch.zeros(14, 1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_a_text_does_not_depend_on_those_beside_it_nor_on_threads_or_chunks(form):
    model, _ = in_form(decoder(), form)
    ids = torch.randint(0, 300, (21, 40), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        fast = native(model)
        together, _ = fast.step(ids, fast.start(21))
        for row, threads in ((0, 1), (7, 2), (20, 3)):
            alone = native(model, threads)
            state, parts = alone.start(1), []
            for part in ids[row : row + 1].split([1, 1, 30, 2, 6], dim=1):
                found, state = alone.step(part, state)
                parts.append(found)
            torch.testing.assert_close(torch.cat(parts, 1)[0], together[row], atol=0, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_rows_have_slots_and_lengths_of_their_own(form):
    model, plain = in_form(decoder(), form)
    rows = slotted(model, 6, 90)
    assert isinstance(rows.model, NativeDecoder)
    generator = torch.Generator().manual_seed(2)
    texts = {slot: torch.randint(0, 300, (n,), generator=generator) for slot, n in ((5, 3), (0, 40), (2, 17))}
    for slot, text in texts.items():
        rows.read(slot, text[: len(text) // 2].tolist(), 0)
        found = rows.read(slot, text[len(text) // 2 :].tolist(), len(text) // 2)
        expected = plain.step(text[None], plain.start(1), last=True)[0][0, 0, : len(found)]
        assert (found - expected).abs().max() < FORMS[form]
    rows.copy(0, 1, 30)
    texts[1] = texts[0][:30]
    # Two tokens into one slot and one into each other.
    new = {slot: torch.randint(0, 300, (2 if slot == 2 else 1,), generator=generator) for slot in (5, 2, 0, 1)}
    reads = [
        (number, slot, len(texts[slot]) + at) for slot, own in new.items() for at, number in enumerate(own.tolist())
    ]
    found = rows.step(*map(torch.tensor, zip(*reads, strict=True)))
    for (_, slot, place), scores in zip(reads, found, strict=True):
        text = torch.cat((texts[slot], new[slot]))[None, : place + 1]
        expected = plain.step(text, plain.start(1), last=True)[0][0, 0, : len(scores)]
        assert (scores - expected).abs().max() < FORMS[form]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_fork_of_a_process_that_has_written_writes_the_same():
    fast, ids = native(decoder()), torch.tensor([[1, 2, 3]])
    expected, _ = fast.step(ids, fast.start(1))
    child = os.fork()
    if not child:
        signal.alarm(60)  # rather than to wait without end
        try:
            same = [torch.equal(each.step(ids, each.start(1))[0], expected) for each in (fast, native(decoder()))]
            os._exit(0 if all(same) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of one kind")
@pytest.mark.parametrize(("processor", "lanes"), [("-march=x86-64-v3", 8), ("-march=x86-64", 4)])
def test_processors_with_narrower_registers_compute_the_same(processor, lanes, monkeypatch, tmp_path):
    monkeypatch.setenv(library.CACHE, str(tmp_path))
    monkeypatch.setattr(library, "PROCESSOR", ((processor,),))
    code = library.build()
    assert ctypes.c_int32.in_dll(code, "inkstone_lanes").value == lanes
    ids = torch.randint(0, 300, (7, 20), generator=torch.Generator().manual_seed(1))
    for form, most in FORMS.items():
        model, plain = in_form(decoder(**SHAPES["biases"]), form)
        fast = NativeDecoder(model, code)
        with torch.inference_mode():
            expected, _ = plain.step(ids, plain.start(7))
            found, _ = fast.step(ids, fast.start(7))
            alone, _ = fast.step(ids[3:4], fast.start(1))
        assert (found - expected).abs().max() < most
        assert torch.equal(alone[0], found[3])


@pytest.mark.parametrize("samples", [1, 2])
def test_greedy_texts_are_the_same_past_the_context_too(samples):
    settings = {"temperature": 0, "max_tokens": 150}
    found = generate(decoder(), "Ink", samples=samples, compiled=True, **settings)
    plain = generate(decoder(), "Ink", compiled=False, **settings)
    assert [one.ids for one in found] == [one.ids for one in plain] * samples


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("form", FORMS)
def test_weights_that_are_not_numbers_show(form, value):
    model, _ = in_form(decoder(), form)
    with torch.no_grad():
        model.blocks[0].attention_norm.weight[3] = float(value)
    fast = native(model)
    assert fast.step(torch.tensor([[1, 2]]), fast.start(1))[0].isnan().all()


@pytest.mark.parametrize("last", [False, True])
def test_ids_may_be_few_and_short(last):
    fast = native(decoder())
    empty, state = fast.step(torch.zeros(2, 0, dtype=torch.long), fast.start(2), last)
    assert empty.shape == (2, 0, 300) and state.length == 0
    ids = torch.tensor([[1, 2], [3, 4]])
    expected, found = (fast.step(each, fast.start(2), last)[0] for each in (ids, ids.int()))
    assert torch.equal(found, expected)
    with pytest.raises(IndexError):
        fast.step(torch.cat((ids, ids)), fast.start(2), last)


@pytest.mark.parametrize("wanted", [[2], [-1], [1, 0], [0, 0]])
def test_scores_are_of_tokens_that_are_read_and_in_their_order(wanted):
    fast = native(decoder())
    keys, values, slots, _ = fast.start(1).laid_out(2, fast.cache_like)
    with pytest.raises(IndexError, match="is not one of 2"):
        fast.read(torch.tensor([1, 2]), slots.repeat(2), torch.arange(2), torch.tensor(wanted), keys, values)


def test_what_is_no_token_or_has_no_place_is_refused():
    rows = slotted(decoder(), 2, 20)
    for ids, slots, places in ((300, 0, 0), (-1, 0, 0), (5, 2, 0), (5, 0, 20), (5, 0, -1)):
        with pytest.raises(IndexError):
            rows.step(torch.tensor([ids]), torch.tensor([slots]), torch.tensor([places]))
    learned = SlottedDecoder(decoder("gpt2"), 1, 200)  # of 96 positions
    learned.step(torch.tensor([5]), torch.tensor([0]), torch.tensor([95]))
    with pytest.raises(IndexError, match="place 96 of slot 0"):
        learned.step(torch.tensor([5]), torch.tensor([0]), torch.tensor([96]))


def test_panels_hold_every_number_once():
    rows = torch.arange(1, 36 * 4 + 1).view(36, 2, 2)
    found = in_panels(rows, 16)
    assert found.shape == (3, 2, 16, 2) and found.sum() == rows.sum()
    assert torch.equal(found[2, 1, 3], rows[35, 1])
    gate, up = in_panels(rows, 16, 2)[0::2], in_panels(rows, 16, 2)[1::2]
    assert torch.equal(gate[1, 0, 1], rows[17, 0]) and torch.equal(up[0, 1, 2], rows[20, 1])


def test_other_models_are_left_as_they_are():
    for model in (Markov.random(3, 0), decoder().double(), decoder().half()):
        assert for_generation(model, 1) is model
    assert isinstance(for_generation(decoder("gpt2"), 1000), NativeDecoder)
    stretched = decoder(rotary_scaling=RotaryScaling("dynamic", 4.0, original_context=8))
    assert isinstance(for_generation(stretched, 1), SingleToken)
