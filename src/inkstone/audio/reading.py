"""Sound files as numbers: one channel, one sampling rate, and what is doubtful about each named.

Whatever libsndfile opens: wav, flac, mp3, ogg (Vorbis and Opus), aiff, and others. Channels are averaged, and another sampling rate is
brought to the wanted one by a filter that lets nothing fold back (soxr).
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.errors import AudioError, MissingExtraError

RATE = 16_000  # samples a second
SHORTEST = 0.05  # seconds
SILENT = 1e-4  # of full scale, −80 dB: what never rises above it is silence
FULL_SCALE = 0.999
CLIPPED = 1e-3  # share of samples at full scale
ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64")


@dataclass(frozen=True)
class Sound:
    """What was heard: `samples` between −1 and 1, and how the file had them."""

    samples: Float[np.ndarray, " n"]
    rate: int
    file_rate: int
    channels: int
    doubts: tuple[str, ...] = ()  # what was put right, or is kept though it is doubtful

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


def is_audio(name: str | Path) -> bool:
    """Whether a file's name is one of sound.

    >>> is_audio("take 1.WAV"), is_audio("notes.txt")
    (True, False)
    """
    return Path(name).suffix.lower() in ENDINGS


def read_audio(source: str | Path | bytes, rate: int = RATE) -> Sound:
    """The sound of a file, or of the bytes of one, with one channel at this rate.

    Raises AudioError, which says why and leaves it to the caller to say where, for what is no sound, for numbers that are none, and
    for what is silent or shorter than 0.05 s; MissingExtraError without the packages of `inkstone[speech]`.
    """
    samples, file_rate, promised = _samples(source)
    doubts = []
    if 0 < len(samples) < promised:
        doubts.append("the file ends before its header says; what there is is kept")
    channels = samples.shape[1]
    if channels > 1:
        doubts.append(f"{channels} channels, averaged")
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioError("holds numbers that are no sound (not finite); write the file anew")
    if len(mono) < SHORTEST * file_rate:
        raise AudioError(f"shorter than {SHORTEST:g} s")
    loudest = float(np.abs(mono).max())
    if loudest < SILENT:
        raise AudioError("silent" if np.abs(samples).max() < SILENT else "silent once its channels are averaged")
    if float((np.abs(samples) >= FULL_SCALE).mean()) > CLIPPED:
        doubts.append("clipped: it was recorded too loud; kept as it is")
    if file_rate != rate:
        doubts.append(f"sampled at {file_rate:,} Hz, brought to {rate:,}")
        mono = resampled(mono, file_rate, rate)
    return Sound(mono.astype(np.float32), rate, file_rate, channels, tuple(doubts))


def file_rate(source: str | Path) -> int | None:
    """The sampling rate of a file, by its header; None of what is no sound. Raises MissingExtraError as `read_audio` does."""
    soundfile = _soundfile()
    try:
        return int(soundfile.info(str(source)).samplerate)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError):
        return None


def seconds_of(content: bytes) -> float:
    """How long the sound in the bytes of a file is, by its header. Raises AudioError for what is no sound, MissingExtraError as
    `read_audio` does."""
    soundfile = _soundfile()
    try:
        told = soundfile.info(io.BytesIO(content))
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError) as error:
        raise AudioError(f"cannot be read as sound ({_reason(error)})") from None
    return told.frames / told.samplerate


def resampled(samples: Float[np.ndarray, " n"], old: float, new: float) -> Float[np.ndarray, " m"]:
    """The same sound with another number of samples a second."""
    try:
        import soxr
    except ImportError:
        raise MissingExtraError("soxr", "speech", "another sampling rate") from None
    return soxr.resample(np.asarray(samples, dtype=np.float32), old, new)


def _samples(source: str | Path | bytes) -> tuple[Float[np.ndarray, "n channels"], int, int]:
    """Samples, sampling rate, and the number of samples that the header promises."""
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            promised, rate = file.frames, file.samplerate
            return file.read(dtype="float32", always_2d=True), rate, promised
    except FileNotFoundError:
        raise AudioError("no such file") from None
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError) as error:
        if not isinstance(source, bytes) and not Path(source).exists():
            raise AudioError("no such file") from None
        raise AudioError(f"cannot be read as sound ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """What the library says, without the name of the file, which stands elsewhere."""
    told = getattr(error, "error_string", None) or str(error)
    return str(told).rstrip(".\n") or type(error).__name__


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package without libsndfile
        raise MissingExtraError("soundfile", "speech", "reading sound") from None
    return soundfile
