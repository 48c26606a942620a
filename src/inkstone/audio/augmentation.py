"""Sound altered so that what was said stays: another speed, throat or microphone, and bands and stretches of time blanked.

Speed (Ko et al. 2015): the samples are played s times as fast, so that pitch and tempo change together. Vocal tract length (Jaitly & Hinton 2013): what
is at the frequency α f comes to f, as from a longer or shorter throat, and the tempo stays. Microphone: each frequency is louder or
softer by what a random curve says, as through another microphone or in another room. SpecAugment (Park et al. 2019): of each
recording's features some neighbouring bands, and some neighbouring frames, are set to 0, which is silence, or the mean where no floor was
chosen; its warping of time, the least useful part by its authors' own account, is left out.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.audio.features import BELOW_HALF, LOWEST, NATS_A_DECIBEL, SPREAD, mel
from inkstone.audio.reading import resampled

KNOTS = 4  # of the curve of a microphone


@dataclass(frozen=True)
class Masks:
    """How much of a recording is blanked each time that it is learned from."""

    bands: int = 2  # stretches of bands
    band_share: float = 27 / 80  # of all bands, the widest of them
    times: int = 2  # stretches of time
    longest: int = 40  # frames, the longest of them
    time_share: float = 0.15  # of the recording, the longest of them


def at_speed(samples: Float[np.ndarray, " n"], speed: float, rate: int) -> Float[np.ndarray, " m"]:
    """The sound played `speed` times as fast: n / speed samples, its pitch higher by the same factor."""
    return samples if speed == 1 else resampled(samples, rate * speed, rate)


def other_throats(
    features: Float[Tensor, "b t bins"], factors: Float[Tensor, " b"], rate: int
) -> Float[Tensor, "b t bins"]:
    """Log-mel features of sound sampled `rate` times a second with what is at α f moved to f, an α for each recording.

    Between the middles of two bands lies what is between them; beyond the highest band, or the lowest, is what that one has.
    """
    b, t, bins = features.shape
    low, high = mel(LOWEST), mel(rate / 2 - BELOW_HALF)
    spacing = (high - low) / (bins + 1)
    middles = low + spacing * torch.arange(1, bins + 1, dtype=torch.float64)
    hertz = 700 * torch.expm1(middles / 1127)
    wanted = 1127 * torch.log1p(factors.double()[:, None] * hertz / 700)
    place = ((wanted - low) / spacing - 1).clamp(0, bins - 1)
    below = place.long().clamp(max=max(0, bins - 2))
    share = (place - below).to(features.dtype).to(features.device)[:, None, :]
    below = below.to(features.device)[:, None, :].expand(b, t, bins)
    above = (below + 1).clamp(max=bins - 1)
    return torch.lerp(features.gather(2, below), features.gather(2, above), share.expand(b, t, bins))


def other_microphones(
    features: Float[Tensor, "b t bins"], deviation: float, generator: torch.Generator
) -> Float[Tensor, "b t bins"]:
    """Features in units of `SPREAD` with a curve over the bands added, one for each recording: lines between `KNOTS` evenly spaced
    normal deviates with a `deviation` in decibels."""
    b, _, bins = features.shape
    knots = torch.randn(b, 1, KNOTS, generator=generator) * (deviation * NATS_A_DECIBEL / SPREAD)
    return features + F.interpolate(knots, size=bins, mode="linear", align_corners=True).to(features)


def spec_augment(
    features: Float[Tensor, "b t bins"], lengths: Int[Tensor, " b"], masks: Masks, generator: torch.Generator
) -> Float[Tensor, "b t bins"]:
    """The features with stretches set to 0, drawn for each recording: places and widths, from nothing to the widest."""
    b, t, bins = features.shape
    widest = torch.full((b,), round(masks.band_share * bins))
    longest = (masks.time_share * lengths.cpu()).long().clamp(max=masks.longest)
    blank = _stretches(torch.full((b,), bins), widest, masks.bands, bins, generator)[:, None, :]
    blank = blank | _stretches(lengths.cpu(), longest, masks.times, t, generator)[:, :, None]
    return features.masked_fill(blank.to(features.device), 0.0)


def _stretches(
    sizes: Int[Tensor, " b"], widest: Int[Tensor, " b"], number: int, places: int, generator: torch.Generator
) -> Bool[Tensor, "b places"]:
    """For each row the places that lie in one of so many stretches, each inside the row's size."""
    drawn = torch.rand(2, len(sizes), number, generator=generator)
    width = (drawn[0] * (widest[:, None] + 1)).long()
    begin = (drawn[1] * (sizes[:, None] - width + 1)).long()
    place = torch.arange(places)[None, None, :]
    return ((place >= begin[..., None]) & (place < (begin + width)[..., None])).any(1)
