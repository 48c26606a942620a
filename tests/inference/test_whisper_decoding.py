"""Windows of sound as text: beams, drawing, and when a text is given up for another."""

import itertools
import json
from dataclasses import replace

import pytest
import torch

from hub.whisper_checkpoints import whisper_checkpoint
from inkstone.errors import RecipeError
from inkstone.hub.folder import load
from inkstone.hub.whisper import speech_tokens
from inkstone.inference.packed import Writer
from inkstone.inference.time_rules import TimeRules
from inkstone.inference.whisper_decoding import Decoding, compression, decode_windows

UNHEARD = dict(least_log_probability=-1e9, most_compression=1e9)  # whatever is written will do


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """A checkpoint with room for two tokens after the prompt, its tokens, what it heard, and the prompts."""
    folder = tmp_path_factory.mktemp("decoding")
    whisper_checkpoint(folder, seed=3, max_target_positions=5)
    model = load(folder)
    tokens = speech_tokens(folder, json.loads((folder / "config.json").read_text()), model.tokenizer)
    windows = torch.randn(3, 80, 100, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        memory = model.encode(windows)  # type: ignore[operator]
    prompt = tokens.prompt(tokens.language("en"))
    return model, tokens, memory, torch.tensor([prompt] * 3)


def decoded(heard, **settings):
    model, tokens, memory, prompts = heard
    generators = [torch.Generator().manual_seed(row) for row in range(3)]
    return decode_windows(Writer(model, model.logits), tokens, memory, prompts, Decoding(**settings), generators)


def test_many_beams_find_the_likeliest_text_of_all(heard):
    model, tokens, memory, prompts = heard
    found = decoded(heard, temperatures=(0.0,), beams=25, length_penalty=0.0, **UNHEARD)
    rules, greedy = TimeRules(tokens, times=True), decoded(heard, temperatures=(0.0,), **UNHEARD)
    better = 0
    for row in range(3):
        own = type(memory)(memory.states[row : row + 1])

        def after(written: tuple[int, ...], own=own) -> torch.Tensor:
            with torch.no_grad():
                logits = model(torch.tensor([[*prompts[0].tolist(), *written]]), memory=own)[:, -1:].float()
            return rules(logits.log_softmax(-1), torch.tensor([[written]], dtype=torch.long))[0, 0]

        # Every text of two tokens, by the chain of its tokens: the first is a time, and none ends at once.
        firsts = after(())
        known = firsts.isfinite().nonzero()[:, 0].tolist()
        assert tokens.end not in known and len(known) <= 25
        chains = torch.stack([firsts[first] + after((first,)) for first in known])
        first, second = divmod(int(chains.argmax()), chains.shape[1])
        best = (known[first],) if second == tokens.end else (known[first], second)
        assert found[row].ids == best
        better += found[row].ids != greedy[row].ids
    assert better


def test_a_text_that_fails_is_drawn_anew_at_the_next_temperature(heard):
    greedy = decoded(heard, temperatures=(0.0,))
    kept = decoded(heard, temperatures=(0.0, 0.5, 1.0), **UNHEARD)
    assert [each.ids for each in kept] == [each.ids for each in greedy] and {each.temperature for each in kept} == {0.0}
    never = decoded(heard, temperatures=(0.0, 0.5, 1.0), least_log_probability=1.0, no_speech=1.0)
    assert {each.temperature for each in never} == {1.0}
    assert never == decoded(heard, temperatures=(0.0, 0.5, 1.0), least_log_probability=1.0, no_speech=1.0)
    repeated = decoded(heard, temperatures=(0.0, 0.5), most_compression=-1.0, least_log_probability=-1e9)
    assert {each.temperature for each in repeated} == {0.5}
    # One that the model holds for silent is not tried again.
    silent = decoded(heard, temperatures=(0.0, 0.5), least_log_probability=1.0, no_speech=-1.0)
    assert {each.temperature for each in silent} == {0.0}
    assert all(each.silent(Decoding(least_log_probability=1.0, no_speech=-1.0)) for each in silent)
    middle = sorted(each.log_probability for each in greedy)[1]
    some = decoded(heard, temperatures=(0.0, 0.7), least_log_probability=middle, no_speech=1.0)
    assert sorted(each.temperature for each in some) == [0.0, 0.0, 0.7]


def test_drawn_tokens_have_the_chances_of_their_temperature(heard):
    model, tokens, memory, prompts = heard
    rules, many, temperature = TimeRules(tokens, times=True), 600, 1.7
    with torch.no_grad():
        logits = model(prompts[:1], memory=type(memory)(memory.states[:1]))[:, -1:].float()
    chances = rules(logits.log_softmax(-1), torch.zeros(1, 1, 0, dtype=torch.long))[0, 0]
    expected = (chances / temperature).softmax(-1)
    again = type(memory)(memory.states[:1].expand(many, -1, -1))
    generators = [torch.Generator().manual_seed(row) for row in range(many)]
    settings = Decoding(temperatures=(temperature,), **UNHEARD)
    found = decode_windows(
        Writer(model, model.logits), tokens, again, prompts[:1].expand(many, -1), settings, generators
    )
    counts = torch.bincount(torch.tensor([each.ids[0] for each in found]), minlength=len(expected)).double() / many
    assert float((counts - expected).abs().sum() / 2) < 0.1
    assert all(each.log_probability <= 0 for each in found)


def test_the_mean_log_probability_is_that_of_the_chain(heard):
    model, tokens, memory, prompts = heard
    rules = TimeRules(tokens, times=True)
    for temperature, row in itertools.product((0.0, 1.0), range(3)):
        found = decoded(heard, temperatures=(temperature,), **UNHEARD)[row]
        ids = [*found.ids, tokens.end][: model.settings.context - prompts.shape[1]]
        total = 0.0
        for place, token in enumerate(ids):
            own = type(memory)(memory.states[row : row + 1])
            read = torch.tensor([[*prompts[0].tolist(), *ids[:place]]])
            with torch.no_grad():
                scores = model(read, memory=own)[:, -1:].float().log_softmax(-1)
            written = torch.tensor([[ids[:place]]], dtype=torch.long)
            total += float(rules(scores, written)[0, 0, token])
        assert found.log_probability == pytest.approx(total / len(ids), abs=1e-4)
        with torch.no_grad():
            whole = model(prompts[:1, :1], memory=type(memory)(memory.states[row : row + 1])).softmax(-1)
        assert found.no_speech == pytest.approx(float(whole[0, 0, tokens.no_speech]), abs=1e-5)


def test_repetition_compresses_and_settings_that_cannot_be_are_refused():
    assert compression("") == 0 and compression("ink " * 100) > 10 > compression("ink on stone, and water")
    for wrong in (dict(temperatures=()), dict(temperatures=(-0.1,)), dict(beams=0), dict(length_penalty=-1.0)):
        with pytest.raises(RecipeError, match="but there must"):
            replace(Decoding(), **wrong)
