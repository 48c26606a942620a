"""Other speeds, and stretches that are blanked."""

import numpy as np
import pytest
import torch

from inkstone.audio.augmentation import Masks, at_speed, spec_augment


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
