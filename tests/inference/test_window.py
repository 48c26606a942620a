"""Text without end: what stays in sight, and that nothing grows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inkstone.inference.generation import generate
from inkstone.inference.prefill import advance, prefill, room_in
from inkstone.inference.sampling import SamplingError
from inkstone.inference.single_token import SingleToken
from inkstone.inference.window import Window, window_of
from inkstone.models.recurrent import Recurrent

from .decoders import byte_tokenizer, decoder

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fast", [False, True])
def test_a_decoder_of_one_layer_says_what_it_says_of_the_tokens_in_sight(fast):
    # In one layer keys and values follow from the tokens alone, so that what is forgotten leaves no trace.
    model = decoder(n_layers=1)
    reader = SingleToken(model, 1) if fast else model
    window = Window(20, sinks=3)
    text = torch.randint(0, 250, (1, 100), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        _, state = prefill(reader, text[:, :7], window)
        seen = list(range(7))
        for place in range(7, 100):
            scores, state = advance(reader, text[:, : place + 1], state, window)
            if len(seen) == 20:
                seen = seen[:3] + seen[3 + window.forgotten_at_once :]
            seen.append(place)
            assert state.length == len(seen) == 20 - room_in(reader, state, window)
            expected = model.step(text[:, seen], model.start(1), last=True)[0][:, 0, : byte_tokenizer().vocab_size]
            torch.testing.assert_close(scores, expected, atol=2e-3, rtol=0)


def test_a_prompt_longer_than_the_window_is_read_as_far_as_it_is_seen():
    model, window = decoder(), Window(20, sinks=3)
    text = torch.arange(90)[None]
    with torch.inference_mode():
        scores, state = prefill(model, text, window)
        seen = [0, 1, 2, *range(90 - (20 - 3 - window.forgotten_at_once), 90)]
        expected = model.step(text[:, seen], model.start(1), last=True)[0][:, 0, : byte_tokenizer().vocab_size]
    assert state.length == len(seen) and torch.equal(scores, expected)


def test_until_the_window_is_full_nothing_is_different():
    model = decoder(context=32)
    plain, endless = (generate(model, [5, 6], max_tokens=29, seed=2, endless=each)[0] for each in (False, True))
    assert plain.ids == endless.ids
    long = generate(model, [5, 6], samples=2, max_tokens=80, seed=2, window=16, sinks=2)
    assert all(len(one.ids) == 80 or one.finish_reason == "end" for one in long)


def test_what_cannot_be_is_refused():
    for options, words in (
        ({"window": 200}, "window = 200, but this model takes account of 96"),
        ({"window": 5, "sinks": 4}, "two tokens more"),
        ({"sinks": -1}, "at least 0"),
        ({"endless": True, "beams": 2}, "leave out draft, endless"),
    ):
        with pytest.raises(SamplingError, match=words):
            generate(decoder(), [1], **options)
    with pytest.raises(SamplingError, match="rotary positions"):
        generate(decoder("gpt2"), [1], window=20)


def test_other_models_go_on_without_end_by_themselves():
    recurrent = Recurrent(Recurrent.Settings.of_size(byte_tokenizer().vocab_size, 16, 1), byte_tokenizer())
    recurrent.initialise(torch.Generator().manual_seed(0))
    assert window_of(recurrent, None, endless=True) is None
    assert window_of(decoder("gpt2"), 96, endless=True) is None
    assert len(generate(recurrent, [1], endless=True, max_tokens=9, temperature=0.0)[0].ids) > 0


# Without the shape checks of the tests, which would take most of the time.
FIFTY_THOUSAND = """
import json, os
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling
from inkstone.inference.single_token import SingleToken
from inkstone.inference.window import window_of
from tests.inference.decoders import decoder

class Watched(SingleToken):
    steps, facts = 0, []
    def step(self, ids, state, last=False):
        self.steps += 1
        if self.steps in (1_000, 50_000):
            pages = int(open("/proc/self/statm").read().split()[1])
            held = [store.shape[2] for store in (*state.keys, *state.values)]
            self.facts.append((pages * os.sysconf("SC_PAGE_SIZE"), state.length, max(held)))
        return super().step(ids, state, last)

model = Watched(decoder(width=16, n_layers=1, n_heads=1, n_kv_heads=1, hidden=16, context=64), 1)
for _ in stream(model, [5], Sampling(max_tokens=50_000), ends=(), window=window_of(model, 64, endless=True)):
    pass
print(json.dumps(model.facts))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
def test_fifty_thousand_tokens_take_no_more_memory_than_a_thousand():
    told = subprocess.run([sys.executable, "-c", FIFTY_THOUSAND], capture_output=True, text=True, check=True, cwd=ROOT)
    (early, *_), (late, length, held) = json.loads(told.stdout)
    assert length <= 64 and held <= 64
    # The text itself, which is given back in the end, takes some hundred bytes a token.
    assert late - early < 49_000 * 400
