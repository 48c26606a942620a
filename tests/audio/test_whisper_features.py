"""The features of Whisper against the extractor of transformers, which is trusted."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from inkstone.audio import whisper_features as features
from inkstone.audio.whisper_features import HOP, RATE, SILENCE, mel_bands, whisper_features


def some_sound(seconds: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (200 + 900 * time) * time) * np.exp(-time)
    return (0.5 * tone + 0.01 * generator.standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize("bins", [80, 128])
def test_features_are_those_of_transformers(bins):
    theirs = WhisperFeatureExtractor(feature_size=bins)
    for seconds in (0.3, 2.0, 30.0, 37.123):
        sound = some_sound(seconds)
        expected = theirs(sound, sampling_rate=RATE, return_tensors="pt", truncation=False).input_features[0]
        if seconds > 30:  # not padded there to whole windows either
            expected = theirs(sound, sampling_rate=RATE, return_tensors="pt", truncation=False, padding=False)
            expected = torch.as_tensor(expected.input_features[0])
        found = whisper_features(sound, bins, least=30 * RATE)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(mel_bands(bins), torch.as_tensor(theirs.mel_filters.T).float(), rtol=0, atol=1e-7)


def test_a_long_recording_is_the_same_in_pieces(monkeypatch):
    sound = some_sound(1.5)
    whole = whisper_features(sound, 80)
    assert whole.shape == (80, len(sound) // HOP)
    monkeypatch.setattr(features, "FRAMES_AT_ONCE", 7)
    torch.testing.assert_close(whisper_features(sound, 80), whole)


def test_silence_is_one_number_and_loudness_above_it_spans_eight_powers_of_ten():
    silent = whisper_features(np.zeros(RATE, dtype=np.float32), 80)
    torch.testing.assert_close(silent, torch.full((80, 100), SILENCE))
    found = whisper_features(some_sound(1.0), 80, least=2 * RATE)
    assert found.shape == (80, 200)
    assert float(found.max() - found.min()) == pytest.approx(2.0)
    assert whisper_features(np.zeros(0, dtype=np.float32), 80).shape == (80, 2)
