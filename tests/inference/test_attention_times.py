"""Times of words by a Whisper's attention, against transformers; and where they go in a recording of several windows."""

import json

import numpy as np
import pytest
import torch

from hub.whisper_checkpoints import whisper_checkpoint
from inkstone.hub.folder import load
from inkstone.hub.whisper import speech_tokens
from inkstone.inference.attention_times import aligning_heads, attention_to_sound, first_states, smoothed
from inkstone.inference.long_recordings import transcribe
from inkstone.inference.whisper_decoding import Decoding
from inkstone.models.whisper import STATES_A_SECOND

from .test_long_recordings import ONCE, features_of, some_sound

HEADS = [(1, 0), (2, 3), (2, 1)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A checkpoint as transformers has it, ours, and its tokens."""
    folder = tmp_path_factory.mktemp("whisper")
    theirs = whisper_checkpoint(folder, seed=3, max_target_positions=24)
    ours = load(folder)
    config = json.loads((folder / "config.json").read_text())
    return theirs, ours, speech_tokens(folder, config, ours.tokenizer)


def test_the_attention_is_that_of_transformers(pair):
    theirs, ours, tokens = pair
    features, ids = features_of(some_sound(1.0)), [tokens.start, tokens.languages["de"], 40, 41, 42, 7]
    theirs.set_attn_implementation("eager")  # the others keep no attention
    with torch.no_grad():
        told = theirs(features, decoder_input_ids=torch.tensor([ids]), output_attentions=True, return_dict=True)
        memory = ours.encode(features)
    found = attention_to_sound(ours, memory, ids, HEADS)
    expected = torch.stack([told.cross_attentions[layer][0, head] for layer, head in HEADS])
    assert torch.allclose(found, expected, atol=1e-5)
    assert not any(block.cross_query._forward_hooks for block in ours.decoder)


@pytest.mark.parametrize("seconds", [1.0, 0.62])
def test_tokens_begin_where_transformers_says(pair, seconds):
    theirs, ours, tokens = pair
    sound = some_sound(seconds, seed=4)
    frames = round(seconds * 100)
    features = features_of(sound)
    mask = (torch.arange(features.shape[-1]) < frames).long()[None]
    told = theirs.generate(
        features, attention_mask=mask, language="de", task="transcribe", return_token_timestamps=True, return_dict_in_generate=True
    )  # fmt: skip
    ids = told["sequences"][0].tolist()
    prompt = list(tokens.prompt(tokens.languages["de"], times=False))
    assert ids[: len(prompt)] != prompt or len(ids) > len(prompt)
    written = [number for number in ids if number not in prompt]
    with torch.no_grad():
        memory = ours.encode(features)
    # There the last token, that was never read, has no row; and what stands before the text has none either.
    found = first_states(ours, memory, [*prompt, *written[:-1]], len(prompt), HEADS, frames // 2) / STATES_A_SECOND
    theirs_told = told["token_timestamps"][0][-len(written) :].tolist()
    assert found.tolist() == pytest.approx(theirs_told[: len(found)], abs=1e-4) and len(set(theirs_told)) > 2


def test_values_are_smoothed_by_a_median_with_mirrored_ends():
    values = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(0))
    found = smoothed(values, 5)
    padded = np.pad(values.numpy(), ((0, 0), (0, 0), (2, 2)), mode="reflect")
    for at in range(12):
        assert np.allclose(found[..., at].numpy(), np.median(padded[..., at : at + 5], axis=-1))
    assert torch.equal(smoothed(values[..., :2], 5), values[..., :2])


def test_without_alignment_heads_the_upper_half_of_the_decoder_is_asked(pair):
    _, ours, tokens = pair
    assert aligning_heads(ours, tokens.alignment_heads) == HEADS
    assert aligning_heads(ours, ()) == [(layer, head) for layer in (1, 2) for head in range(4)]


@pytest.mark.parametrize("decoding", [{}, {"beams": 3}, {"language": "zh", "translate": True}])
def test_words_of_a_recording_are_its_segments_cut_up_and_their_times_rise(pair, decoding):
    _, ours, tokens = pair
    sounds = [some_sound(2.7, seed=1), some_sound(0.5, seed=2)]
    plain = dict(transcribe(ours, tokens, sounds, Decoding(temperatures=ONCE, **decoding)))
    timed = dict(transcribe(ours, tokens, sounds, Decoding(temperatures=ONCE, words=True, **decoding)))
    for number, transcript in timed.items():
        assert [each.text for each in transcript.segments] == [each.text for each in plain[number].segments]
        assert not any(each.words for each in plain[number].segments)
        for segment in transcript.segments:
            assert "".join("".join(word.text for word in segment.words).split()) == "".join(segment.text.split())
            window, times = segment.window / 100, [time for word in segment.words for time in (word.start, word.end)]
            assert all(word.start <= word.end for word in segment.words)
            starts = [word.start for word in segment.words]
            assert starts == sorted(starts) and times[0] >= window and max(times) <= min(window + 1, transcript.seconds)
