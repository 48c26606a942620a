"""The log-mel features of Whisper: other frames, bands and scale than those that our own models of speech read.

    X = |DFT(w ⊙ frame)|²,    y_b = log₁₀ max(10⁻¹⁰, Σ_k M_bk X_k),    feature_b = (max(y_b, max y − 8) + 4) / 4

A frame is 400 samples of 16,000 a second, one every 160, centred where it stands; the sound is mirrored at its ends. w is the
periodic Hann window. M are triangles of equal area whose corners lie evenly on Slaney's scale: linear to 1000 Hz (15 steps), then
logarithmic (27 steps for each factor of 6.4). The largest y is that of the whole recording. Source: Radford et al. 2022, section
2.2; the scale is that of Slaney's Auditory Toolbox (1998).
"""

import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

RATE = 16_000  # samples a second
FRAME = 400  # samples
HOP = 160
FRAMES_A_SECOND = RATE // HOP
QUIETEST = 1e-10
RANGE = 8.0  # powers of ten below the loudest
SILENCE = (math.log10(QUIETEST) + 4) / 4  # every feature of a recording that is silent throughout
FRAMES_AT_ONCE = 6000

_LINEAR_STEP = 200 / 3  # Hz
_BREAK = 1000.0  # Hz
_LOG_STEP = math.log(6.4) / 27


def whisper_features(samples: Float[np.ndarray, " n"], bins: int, least: int = 0) -> Float[Tensor, "bins frames"]:
    """The features of a sound of 16,000 samples a second: ⌊n / 160⌋ frames.

    One with fewer samples than `least` is followed by silence up to that.
    """
    sound = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    sound = torch.nn.functional.pad(sound, (0, max(0, max(least, FRAME) - len(sound))))
    mirrored = torch.nn.functional.pad(sound[None], (FRAME // 2, FRAME // 2), mode="reflect")[0]
    frames = mirrored.unfold(0, FRAME, HOP)[: len(sound) // HOP]
    window, bands = torch.hann_window(FRAME), mel_bands(bins)
    found = torch.empty(bins, len(frames))
    for begin in range(0, len(frames), FRAMES_AT_ONCE):  # the spectrum of an hour at once would take a gigabyte
        spectrum = torch.fft.rfft(frames[begin : begin + FRAMES_AT_ONCE] * window)
        found[:, begin : begin + len(spectrum)] = bands @ spectrum.abs().square().T
    found = found.clamp(min=QUIETEST).log10()
    return (found.clamp(min=float(found.max()) - RANGE) + 4) / 4


@cache
def mel_bands(bins: int) -> Float[Tensor, "bins frequencies"]:
    """How much each frequency of the spectrum counts in each band."""
    frequencies = np.linspace(0, RATE / 2, FRAME // 2 + 1)
    corners = _hertz(np.linspace(0, _steps(RATE / 2), bins + 2))
    rising = (frequencies - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - frequencies) / np.diff(corners)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy(triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).float()


def _steps(hertz: float) -> float:
    """Where a frequency above the break stands on the scale."""
    return _BREAK / _LINEAR_STEP + math.log(hertz / _BREAK) / _LOG_STEP


def _hertz(steps: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    above = steps - _BREAK / _LINEAR_STEP
    return np.where(above < 0, steps * _LINEAR_STEP, _BREAK * np.exp(_LOG_STEP * above))
