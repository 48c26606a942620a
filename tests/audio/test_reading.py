"""Sound files: what is read of each kind, what is put right and named, what is refused."""

import io
import sys

import numpy as np
import pytest
import soundfile

from inkstone.audio.reading import read_audio, resampled
from inkstone.errors import AudioError, InkstoneError


def tone(seconds=0.5, rate=16_000, pitch=440.0, loudness=0.5):
    return (loudness * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_each_kind_of_file_is_the_same_sound(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(), 16_000)
    sound = read_audio(path)
    assert sound.rate == 16_000 and sound.doubts == () and abs(sound.seconds - 0.5) < 0.15
    spectrum = np.abs(np.fft.rfft(sound.samples))
    assert abs(np.argmax(spectrum) * 16_000 / len(sound.samples) - 440) < 5
    assert read_audio(path.read_bytes()).seconds == sound.seconds


def test_channels_are_averaged_and_rates_brought_to_one(tmp_path):
    left = tone(rate=44_100)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], 1), 44_100)
    sound = read_audio(tmp_path / "a.wav")
    assert (sound.channels, sound.file_rate, sound.rate, len(sound.samples)) == (2, 44_100, 16_000, 8000)
    assert sound.doubts == ("2 channels, averaged", "sampled at 44,100 Hz, brought to 16,000")
    expected = 0.5 * tone()
    assert np.abs(sound.samples - expected)[200:-200].max() < 0.01


def test_what_lies_above_half_the_rate_does_not_fold_back():
    high = tone(rate=16_000, pitch=6000.0)
    assert np.abs(resampled(high, 16_000, 8000))[200:-200].max() < 1e-3


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(8000), "silent"),
        (tone(0.02), r"shorter than 0\.05 s"),
        (np.zeros(0), r"shorter than 0\.05 s"),
        (np.stack([tone(), -tone()], 1), "silent once its channels are averaged"),
        (np.where(np.arange(8000) == 5, np.nan, tone()), "no sound"),
    ],
)
def test_what_cannot_be_heard_is_refused_with_the_reason(tmp_path, samples, reason):
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=reason):
        read_audio(tmp_path / "a.wav")


def test_what_is_no_sound_is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"this is text and no sound" * 20)
    with pytest.raises(AudioError, match="cannot be read as sound"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="no such file"):
        read_audio(tmp_path / "b.wav")
    with pytest.raises(AudioError, match="cannot be read as sound"):
        read_audio(b"")


def test_too_loud_and_cut_short_are_kept_and_named(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.clip(3 * tone(), -1, 1), 16_000)
    assert any("clipped" in doubt for doubt in read_audio(tmp_path / "loud.wav").doubts)
    whole = io.BytesIO()
    soundfile.write(whole, tone(2.0), 16_000, format="FLAC")
    try:
        sound = read_audio(whole.getvalue()[: len(whole.getvalue()) // 2])
    except AudioError as error:
        assert "cannot be read" in str(error)
    else:
        assert sound.seconds < 2.0 and any("ends before" in doubt for doubt in sound.doubts)


def test_without_the_packages_the_command_that_installs_them_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InkstoneError, match=r"pip install 'inkstone\[speech\]'"):
        read_audio("a.wav")
