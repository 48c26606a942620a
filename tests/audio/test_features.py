"""Log-mel features against an independent computation from their definition."""

import sys

import numpy as np
import pytest

from inkstone.audio.features import BINS, SPREAD, above_floor, log_mel, normalised
from inkstone.errors import InkstoneError


def mel(frequency):
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def by_definition(samples, rate, bins):
    """Frame by frame in double precision: Kaldi's reflected edges, mean, pre-emphasis, Povey's window, triangles in mel."""
    scaled = np.asarray(samples, dtype=np.float64) * 32768
    size, shift = int(0.025 * rate), int(0.01 * rate)
    padded = 1 << (size - 1).bit_length()
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))) ** 0.85
    corners = np.linspace(mel(20.0), mel(rate / 2 - 400.0), bins + 2)
    at = mel(np.arange(padded // 2) * rate / padded)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    filters = np.maximum(0, np.minimum((at - left) / (centre - left), (right - at) / (right - centre)))
    found = []
    for number in range((len(scaled) + shift // 2) // shift):
        places = number * shift + shift // 2 - size // 2 + np.arange(size)
        places = np.where(places < 0, -places - 1, places)
        places = np.where(places >= len(scaled), 2 * len(scaled) - 1 - places, places)
        frame = scaled[places]
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate((frame[:1], frame[:-1]))
        power = np.abs(np.fft.rfft(frame * window, padded))[: padded // 2] ** 2
        found.append(np.log(np.maximum(np.finfo(np.float32).eps, filters @ power)))
    return np.stack(found)


@pytest.mark.parametrize(("rate", "bins"), [(16_000, BINS), (8000, 40)])
def test_features_are_those_of_the_definition(rate, bins):
    draw = np.random.default_rng(0)
    time = np.arange(rate // 2) / rate
    samples = 0.3 * np.sin(2 * np.pi * (300 + 400 * time) * time) + 0.05 * draw.standard_normal(len(time))
    found = log_mel(samples.astype(np.float32), rate, bins)
    assert found.shape == (50, bins) and found.dtype == np.float32
    assert np.abs(found - by_definition(samples.astype(np.float32), rate, bins)).max() < 0.01


def test_normalised_features_do_not_know_how_loud_it_was():
    draw = np.random.default_rng(1)
    samples = 0.1 * draw.standard_normal(8000).astype(np.float32) * np.linspace(0.1, 1, 8000, dtype=np.float32)
    one, other = (normalised(log_mel(factor * samples, 16_000)) for factor in (1.0, 0.25))
    assert np.abs(one - other).max() < 1e-3
    found = log_mel(samples, 16_000)
    assert abs(one.mean()) < 1e-4 and np.abs((one - one[0]) * SPREAD - (found - found[0])).max() < 1e-3
    assert np.abs(normalised(np.full((20, 4), 3.0, dtype=np.float32))).max() == 0


def of_speech(how, noise, loudness=1.0, silence=0):
    """Features of a tone that comes and goes over noise, with so many seconds of the noise alone before it and after it."""
    rate, draw = 8000, np.random.default_rng(3)
    time = np.arange(rate) / rate
    tone = np.pad(0.3 * np.sin(2 * np.pi * 700 * time) * (np.sin(2 * np.pi * 3 * time) > -0.3), silence * rate)
    samples = loudness * (tone + noise * draw.standard_normal(len(tone)))
    return how(log_mel(samples.astype(np.float32), rate))


def test_above_a_floor_neither_loudness_nor_noise_nor_silence_around_the_speech_counts():
    def to_floor(features):
        return above_floor(features, 30.0)

    plain = of_speech(to_floor, 1e-4)
    assert plain.min() >= 0 and plain.max() > 1 and np.median(plain) < 0.05
    assert np.abs(of_speech(to_floor, 1e-4, loudness=0.25) - plain).max() < 1e-3
    noisier, around = of_speech(to_floor, 1e-3), of_speech(to_floor, 1e-4, silence=1)
    assert np.abs(noisier - plain).mean() < 0.05 and np.abs(around[103:197] - plain[3:97]).mean() < 0.05
    before = of_speech(normalised, 1e-4)
    noisier, around = of_speech(normalised, 1e-3), of_speech(normalised, 1e-4, silence=1)
    assert np.abs(noisier - before).mean() > 0.2 and np.abs(around[103:197] - before[3:97]).mean() > 0.2


def test_above_a_floor_is_its_formula():
    features = np.random.default_rng(0).normal(10, 4, (200, 20)).astype(np.float32)
    level = np.quantile(np.log(np.exp(features.astype(np.float64)).mean(1)), 0.95)
    wanted = np.log1p(np.exp(features - level + 2 * np.log(10))) / SPREAD  # 20 decibels are a factor of 100
    assert np.abs(above_floor(features, 20.0) - wanted).max() < 1e-5
    assert above_floor(features[:0], 20.0).shape == (0, 20)


def test_without_the_package_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(InkstoneError, match=r"pip install 'inkstone\[speech\]'"):
        log_mel(np.zeros(800, dtype=np.float32), 16_000)
