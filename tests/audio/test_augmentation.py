"""Other speeds, throats and microphones, and stretches that are blanked."""

import numpy as np
import pytest
import torch

from inkstone.audio.augmentation import KNOTS, Masks, at_speed, other_microphones, other_throats, spec_augment
from inkstone.audio.features import SPREAD, log_mel


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_another_speed_changes_length_and_pitch(speed):
    rate = 16_000
    samples = np.sin(2 * np.pi * 400 * np.arange(rate) / rate).astype(np.float32)
    played = at_speed(samples, speed, rate)
    assert abs(len(played) - rate / speed) <= 1
    spectrum = np.abs(np.fft.rfft(played))
    assert abs(np.argmax(spectrum) * rate / len(played) - 400 * speed) < 2
    assert at_speed(samples, 1.0, rate) is samples


def test_stretches_are_blanked_inside_each_recording_and_no_wider_than_allowed():
    masks = Masks(bands=1, band_share=0.25, times=1, longest=5, time_share=0.2)
    features, lengths = torch.ones(400, 50, 20), torch.tensor([50, 20] * 200)
    drawn = spec_augment(features, lengths, masks, torch.Generator().manual_seed(0))
    blank = drawn == 0
    bands, times = blank.all(1).sum(1), blank.all(2).sum(1)
    assert set(bands.tolist()) == set(range(6))
    assert set(times[::2].tolist()) == set(range(6)) and set(times[1::2].tolist()) == set(range(5))
    assert not blank.all(2)[1::2, 20:].any()
    assert (blank == (blank.all(1)[:, None] | blank.all(2)[:, :, None])).all()
    for row in blank.all(1):
        places = row.nonzero().flatten()
        assert len(places) == 0 or places[-1] - places[0] + 1 == len(places)


def test_the_same_generator_draws_the_same():
    features, lengths = torch.ones(3, 30, 8), torch.tensor([30, 20, 25])
    one, other = (spec_augment(features, lengths, Masks(), torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(
        one, spec_augment(features, lengths, Masks(), torch.Generator().manual_seed(8))
    )


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.15])
def test_a_sound_of_another_throat_has_the_bands_of_a_sound_so_much_lower(factor):
    rate = 16_000
    time = np.arange(rate) / rate

    def heard(hertz: float) -> torch.Tensor:
        tones = sum(np.sin(2 * np.pi * f * hertz * time) for f in (1.0, 2.5, 5.0))
        return torch.from_numpy(log_mel((0.2 * tones).astype(np.float32), rate))

    moved = other_throats(heard(600.0 * factor)[None], torch.tensor([factor]), rate)[0]
    wanted, other = heard(600.0), heard(600.0 * factor)
    loud = wanted[50] > wanted[50].max() - 6  # the bands of the three tones
    assert (moved - wanted)[20:80][:, loud].abs().mean() < 1.0
    if factor == 1.0:
        torch.testing.assert_close(moved, wanted)
    else:
        assert (other - wanted)[20:80][:, loud].abs().mean() > 3.0


def test_each_recording_has_a_throat_of_its_own():
    features = torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(0))
    both = other_throats(features, torch.tensor([0.9, 1.1]), 8000)
    for row, factor in enumerate((0.9, 1.1)):
        alone = other_throats(features[row : row + 1], torch.tensor([factor]), 8000)
        torch.testing.assert_close(both[row : row + 1], alone)


def test_another_microphone_adds_one_curve_to_all_frames_of_a_recording():
    features = torch.randn(3000, 2, 3 * (KNOTS - 1) + 1, generator=torch.Generator().manual_seed(0))
    moved = other_microphones(features, 6.0, torch.Generator().manual_seed(1))
    curves = (moved - features) * SPREAD * 10 / np.log(10)  # in decibels
    torch.testing.assert_close(curves[:, 0], curves[:, 1], rtol=0, atol=1e-4)
    knots = curves[:, 0, ::3]
    assert (knots.std(0) - 6.0).abs().max() < 0.3 and knots.mean(0).abs().max() < 0.5
    assert np.abs(np.corrcoef(knots.T.numpy()) - np.eye(KNOTS)).max() < 0.07  # each knot by itself, each recording too
    torch.testing.assert_close(curves[:, 0, 1], (2 * knots[:, 0] + knots[:, 1]) / 3, rtol=0, atol=1e-4)
    assert torch.equal(moved, other_microphones(features, 6.0, torch.Generator().manual_seed(1)))
    assert torch.equal(other_microphones(features, 0.0, torch.Generator().manual_seed(1)), features)
