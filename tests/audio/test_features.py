"""Log-mel features against an independent computation from their definition."""

import sys

import numpy as np
import pytest

from inkstone.audio.features import BINS, SPREAD, log_mel, normalised
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


def test_without_the_package_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(InkstoneError, match=r"pip install 'inkstone\[speech\]'"):
        log_mel(np.zeros(800, dtype=np.float32), 16_000)
