"""Log-mel features: how loud a sound is in each band of pitch, a hundred times a second.

    X = |DFT(w ⊙ p(frame))|²,    feature_b = log max(ε, Σ_k M_bk X_k)

A frame is 25 ms of samples, one every 10 ms; its mean is taken off, p is the pre-emphasis xᵢ − 0.97 xᵢ₋₁, w Povey's window
(½ − ½ cos)^0.85, M triangles whose corners lie evenly on the mel scale 1127 log(1 + f / 700). It is what Kaldi computes, by
kaldi-native-fbank. Source: Davis & Mermelstein 1980; Povey et al. 2011.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.errors import MissingExtraError

BINS = 80
SHIFT = 0.01  # seconds from frame to frame
WINDOW = 0.025
LOWEST = 20.0  # Hz
BELOW_HALF = 400.0  # Hz: so far below half of the sampling rate the highest band ends
SCALE = 32768.0  # Kaldi's samples are 16-bit numbers
SPREAD = 4.0  # nats, about the deviation over a recording
LOUD = 0.95  # of the frames of a recording, the share that is no louder than its speech at its loudest
NATS_A_DECIBEL = math.log(10) / 10


def log_mel(samples: Float[np.ndarray, " n"], rate: int, bins: int = BINS) -> Float[np.ndarray, "frames bins"]:
    """The features of a sound, a frame every 10 ms; nothing is drawn. Raises MissingExtraError without kaldi-native-fbank."""
    try:
        import kaldi_native_fbank as kaldi
    except ImportError:
        raise MissingExtraError("kaldi-native-fbank", "speech", "the features of sound") from None
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.frame_opts.frame_shift_ms, options.frame_opts.frame_length_ms = 1000 * SHIFT, 1000 * WINDOW
    options.mel_opts.num_bins = bins
    options.mel_opts.low_freq, options.mel_opts.high_freq = LOWEST, -BELOW_HALF
    computer: Any = kaldi.OnlineFbank(options)  # which takes arrays as well as the lists that it promises to
    computer.accept_waveform(rate, np.asarray(samples, dtype=np.float32) * SCALE)
    computer.input_finished()
    frames = [computer.get_frame(number) for number in range(computer.num_frames_ready)]
    return np.stack(frames).astype(np.float32) if frames else np.zeros((0, bins), dtype=np.float32)


def mel(hertz: float) -> float:
    """A frequency on the mel scale.

    >>> round(mel(1000.0))
    1000
    """
    return 1127 * math.log1p(hertz / 700)


def normalised(features: Float[np.ndarray, "frames bins"]) -> Float[np.ndarray, "frames bins"]:
    """The recording's mean over all bands and frames taken off, in units of `SPREAD`, so that loudness does not count.

    The bands are not brought to the same mean: of a single word that would take away most of what tells it from others.
    """
    return ((features - features.mean(dtype=np.float64)) / SPREAD).astype(np.float32)


def above_floor(features: Float[np.ndarray, "frames bins"], floor: float) -> Float[np.ndarray, "frames bins"]:
    """By how much each band lies above a floor so many decibels under the loudest of the recording's frames, in units of `SPREAD`.

        y = log(1 + exp(x − L + floor)) / SPREAD,    L = the `LOUD` quantile over the frames of log mean_b exp x_b

    What is under the floor comes near 0, so that neither loudness nor the noise of a room or a microphone counts, nor how much
    silence is around the speech.
    """
    if not len(features):
        return features.astype(np.float32)
    x = features.astype(np.float64)
    loudness = np.logaddexp.reduce(x, axis=1) - math.log(x.shape[1])
    over = x - np.quantile(loudness, LOUD) + floor * NATS_A_DECIBEL
    return (np.logaddexp(over, 0.0) / SPREAD).astype(np.float32)
