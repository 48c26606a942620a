"""Sound altered so that what was said stays: another speed, and bands and stretches of time blanked.

Speed (Ko et al. 2015): the samples are played s times as fast, so that pitch and tempo change together. SpecAugment (Park et al.
2019): of each recording's features some neighbouring bands, and some neighbouring frames, are set to their mean, which is 0; its
warping of time, the least useful part by its authors' own account, is left out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.audio.reading import resampled


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
