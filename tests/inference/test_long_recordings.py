"""Transcripts by a Whisper against transformers: the same tokens, languages, and segments of recordings of many windows."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from hub.whisper_checkpoints import LANGUAGES, whisper_checkpoint
from inkstone.errors import RunError
from inkstone.hub.folder import load
from inkstone.hub.whisper import speech_tokens
from inkstone.inference.long_recordings import pieces_of, transcribe
from inkstone.inference.whisper_decoding import Decoding

RATE = 16_000
ONCE = (0.0,)  # no second try


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A checkpoint as transformers has it, ours, and its tokens."""
    folder = tmp_path_factory.mktemp("whisper")
    theirs = whisper_checkpoint(folder, seed=2, max_target_positions=24)
    ours = load(folder)
    config = json.loads((folder / "config.json").read_text())
    return theirs, ours, speech_tokens(folder, config, ours.tokenizer)


def some_sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness and colour change, so that windows differ."""
    generator = np.random.default_rng(seed)
    n, corners = int(seconds * RATE), np.arange(0, int(seconds * RATE) + 4000, 4000)
    loud, pitch = (
        np.interp(np.arange(n), corners, drawn)
        for drawn in (generator.exponential(0.2, len(corners)), generator.uniform(0, 2, len(corners)))
    )
    return (loud * (np.sin(np.cumsum(pitch)) + 0.3 * generator.standard_normal(n))).astype(np.float32)


def features_of(sound: np.ndarray) -> torch.Tensor:
    extractor = WhisperFeatureExtractor(chunk_length=1)
    options = {} if len(sound) <= RATE else dict(truncation=False, padding="longest")
    return extractor(sound, sampling_rate=RATE, return_tensors="pt", **options).input_features


def said(ours, tokens, sound, **decoding):
    ((_, transcript),) = transcribe(ours, tokens, [sound], Decoding(**{"temperatures": ONCE, **decoding}))
    return transcript


def of_theirs(theirs, sound, **options):
    return theirs.generate(features_of(sound), return_timestamps=True, return_segments=True, **options)["segments"][0]


@pytest.mark.parametrize("language, task, seconds", [("de", "transcribe", 1.0), ("zh", "translate", 0.4)])
def test_without_times_the_tokens_are_those_of_transformers(pair, language, task, seconds):
    theirs, ours, tokens = pair
    sound = some_sound(seconds)
    # Theirs would write times among the text all the same, as no trained model does.
    never = [*tokens.suppressed, *range(tokens.first_time, ours.settings.vocab_size)]
    options = dict(language=language, task=task, return_timestamps=False, suppress_tokens=never)
    expected = theirs.generate(features_of(sound), **options)[0].tolist()
    found = said(ours, tokens, sound, times=False, language=language, translate=task == "translate")
    text = [number for segment in found.segments for number in segment.ids]
    assert text == [number for number in expected if number < tokens.end] and len(set(text)) > 2
    assert found.language == language and not found.languages


def test_the_language_is_that_of_transformers(pair):
    theirs, ours, tokens = pair
    for seed in range(3):
        sound = some_sound(1.0, seed)
        expected = int(theirs.detect_language(features_of(sound), num_segment_frames=100)[0])
        found = said(ours, tokens, sound)
        assert tokens.languages[found.language] == expected
        assert set(found.languages) == set(LANGUAGES) and sum(found.languages.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("previous", [False, True])
def test_a_long_recording_has_the_segments_of_transformers(pair, previous):
    theirs, ours, tokens = pair
    windows = 0

    def text_ids(segment) -> list[int]:
        """Its text; nothing where that is blank, which ours leave out."""
        ids = [number for number in segment["tokens"].tolist() if number < tokens.end]
        return ids if ours.tokenizer.decode(ids).strip() else []

    for seed, seconds in enumerate((1.0, 3.37)):
        sound = some_sound(seconds, seed)
        found = said(ours, tokens, sound, language="en", previous=previous)
        options = dict(language="en", task="transcribe", condition_on_prev_tokens=previous)
        expected = [each for each in of_theirs(theirs, sound, **options) if text_ids(each)]
        assert [list(segment.ids) for segment in found.segments] == [text_ids(each) for each in expected]
        for segment, each in zip(found.segments, expected, strict=True):
            # Where a window holds one segment alone, theirs begins with the window, ours with its own time.
            assert segment.start >= min(float(each["start"]), found.seconds) - 1e-6
            assert 0 <= segment.start <= segment.end <= found.seconds == pytest.approx(seconds, abs=0.01)
            if float(each["end"]) > segment.start:
                assert segment.end == pytest.approx(min(float(each["end"]), found.seconds), abs=1e-6)
        windows += len({segment.window for segment in found.segments})
    assert windows > 3


def test_segments_hold_what_lies_between_times(pair):
    first = pair[2].first_time
    # A text cut off after its last pair of times is heard again from there.
    assert pieces_of([first, 7, first + 4, first + 4, 8], first, 50) == ([(0, 4, (first, 7, first + 4))], 4)
    assert pieces_of([first + 3, 7], first, 50) == ([(3, 50, (first + 3, 7))], None)
    assert pieces_of([], first, 50) == ([(0, 50, ())], None)


def test_recordings_side_by_side_are_as_each_by_itself(pair, monkeypatch):
    _, ours, tokens = pair
    sounds = [some_sound(seconds, seed) for seed, seconds in enumerate((0.5, 0.3, 1.4))]
    alone = [said(ours, tokens, sound) for sound in sounds]
    together = dict(transcribe(ours, tokens, sounds, Decoding(temperatures=ONCE)))
    monkeypatch.setattr("inkstone.inference.long_recordings.WINDOWS_AT_ONCE", 2)
    by_two = dict(transcribe(ours, tokens, sounds, Decoding(temperatures=ONCE)))
    for found in (together, by_two):
        assert sorted(found) == [0, 1, 2]
        for number, one in enumerate(alone):
            assert [segment.ids for segment in found[number].segments] == [segment.ids for segment in one.segments]
            assert found[number].language == one.language
    assert len({segment.window for segment in alone[2].segments}) > 1


def test_what_the_checkpoint_or_the_settings_do_not_allow_is_named(pair):
    _, ours, tokens = pair
    for decoding, words in [
        (Decoding(language="zz"), "no language 'zz'"),
        (Decoding(times=False), "ask for times"),
    ]:
        with pytest.raises(RunError, match=words):
            list(transcribe(ours, tokens, [some_sound(1.2)], decoding))
    with pytest.raises(RunError, match="previous"):
        list(transcribe(ours, replace(tokens, previous=None), [some_sound(0.5)], Decoding(previous=True)))
