"""Examples of speech: recordings with what is said in them, each looked at before anything is learned, and their features, kept."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.audio.augmentation import at_speed
from inkstone.audio.features import SHIFT, above_floor, log_mel, normalised
from inkstone.audio.reading import RATE, Sound, file_rate, read_audio
from inkstone.errors import AudioError, TextError
from inkstone.models.speech_encoder import LONGEST
from inkstone.progress import human_time
from inkstone.tasks.understanding import Understanding, languages_of
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import Record
from inkstone.text.spoken import as_spoken, joined_words
from inkstone.text.text_column import as_text
from inkstone.text.transcripts import Columns, Transcript, read_transcripts, resolved_audio

EDGE = 8  # frames of silence put before and after a recording, so that the shortest word has room
TOGETHER = 50  # recordings of which the language is told at a time
LOOKED_AT = 200  # recordings by which the sampling rate is chosen
FRAMES_A_TOKEN = 4  # of speech at least: what says more cannot be aligned


@dataclass(frozen=True)
class Utterance:
    """A recording, and what is said in it; None where that is asked."""

    place: str
    audio: str
    transcript: str | None
    seconds: float
    identity: str  # the checksum of what is heard
    rate: int = 0  # of the file
    speaker: str | None = None
    group: str | None = None  # what stays on one side of every split
    speed: float = 1.0  # at which it is played
    silence: str | None = None  # why nothing can be heard in it
    content: bytes | None = field(default=None, repr=False, compare=False)  # of a file that lies on no disk
    fits: bool = True  # whether the transcript can be said in so short a time

    @property
    def text(self) -> str:
        """What is said."""
        return self.transcript or ""


class Ears:
    """Reads recordings at one sampling rate, and keeps their features, which are computed once."""

    longest: float = (LONGEST - 2 * EDGE) * SHIFT  # seconds of a recording that is learned from

    def __init__(self, rate: int, floor: float = 0.0):
        """`floor`: as `above_floor` takes it; 0: features are as `normalised` makes them."""
        self.rate, self.floor = rate, floor
        self.kept: dict[tuple[str, float], Float[np.ndarray, "frames bins"]] = {}

    def features(self, utterance: Utterance) -> Float[np.ndarray, "frames bins"]:
        """Normalised features with silence around them; none of a recording in which nothing can be heard."""
        key = (utterance.identity, utterance.speed)
        if key not in self.kept:
            samples = read_audio(utterance.content or utterance.audio, self.rate).samples
            self.keep(utterance.identity, at_speed(samples, utterance.speed, self.rate), utterance.speed)
        return self.kept[key]

    def forget(self, utterance: Utterance) -> None:
        """Let go of the features of one that was asked about once."""
        self.kept.pop((utterance.identity, utterance.speed), None)

    def keep(self, identity: str, samples: Float[np.ndarray, " n"], speed: float = 1.0) -> None:
        """Compute the features of what was heard."""
        found = log_mel(samples, self.rate)
        found = above_floor(found, self.floor) if self.floor else normalised(found)
        self.kept[identity, speed] = np.pad(found, ((EDGE, EDGE), (0, 0)))

    def settle_rate(self, sources: Sequence[str], columns: Columns) -> int:
        """Hear with the highest rate that the first recordings have, and no more than `RATE`: where they have less, there is
        nothing above it to hear."""
        listed = islice(read_transcripts(sources, columns, ReadingReport()), LOOKED_AT)
        rates = [rate for each in listed if each.audio.name and (rate := file_rate(each.audio)) is not None]
        self.rate = min(RATE, max(rates, default=RATE))
        return self.rate

    def read(
        self, sources: Sequence[str], columns: Columns, grouped: bool, written: bool, understanding: Understanding
    ) -> list[Utterance]:
        """The recordings that manifests and folders list; what cannot be heard or learned from is named and left out.

        written: transcripts are taken as they stand, with their case and marks. grouped: a speaker stays on one side of a split.
        """
        found: list[Utterance] = []
        seen: set[str] = set()
        for listed in read_transcripts(sources, columns, understanding.reading, understanding.columns):
            utterance = self._utterance(listed, grouped, written, understanding)
            if utterance is None:
                continue
            if utterance.identity in seen:
                understanding.mend(utterance.place, "the recording stands in the file before; both are kept")
            seen.add(utterance.identity)
            found.append(utterance)
        if found:
            texts = [utterance.text for utterance in found]
            understanding.look_at(texts)
            # A word or two tell nothing of the language; many recordings together do.
            stretches = [" ".join(texts[at : at + TOGETHER]) for at in range(0, len(texts), TOGETHER)]
            understanding.languages = Counter(languages_of(stretches))
            understanding.notices.append(_told(found))
        understanding.close(len(found))
        return found

    def asked(self, given: Any, number: int) -> Utterance:
        """A recording by its path, its bytes, or a record with the key `audio`. Raises TextError for what is no sound.

        One that is silent is kept: nothing is said in it.
        """
        named = given.get("audio") if isinstance(given, Mapping) else given
        if isinstance(named, Path):
            named = str(named)
        if not isinstance(named, str | bytes):
            raise TextError(f"input {number}: {given!r} is no path of a recording")
        content = named if isinstance(named, bytes) else None
        name = named if isinstance(named, str) else f"input {number}"
        try:
            sound = read_audio(named, self.rate)
        except AudioError as error:
            told = str(error)
            if not told.startswith(("silent", "shorter")):
                raise TextError(f"{name}: {told}") from None
            return Utterance(name, name, None, 0.0, f"silent {number}", silence=told, content=content)
        identity = self._identity(sound)
        return Utterance(name, name, None, sound.seconds, identity, sound.file_rate, content=content)

    def _utterance(
        self, listed: Transcript, grouped: bool, written: bool, understanding: Understanding
    ) -> Utterance | None:
        if not listed.audio.name:
            understanding.refuse(listed.place, "no recording is named")
            return None
        place = listed.place if listed.place == str(listed.audio) else f"{listed.place} ({listed.audio.name})"
        if not listed.text:
            understanding.refuse(place, "there is no transcript")
            return None
        said = joined_words(listed.text) if written else as_spoken(listed.text)
        if not said:
            understanding.refuse(place, "nothing of the transcript is spoken")
            return None
        try:
            sound = read_audio(listed.audio, self.rate)
        except AudioError as error:
            understanding.refuse(place, str(error))
            return None
        states = (sound.seconds / SHIFT + 2 * EDGE) / FRAMES_A_TOKEN
        fits = len(said) + sum(one == other for one, other in pairwise(said)) <= states
        if not fits and understanding.part == "train":
            understanding.refuse(place, "too short for all that its transcript says")
            return None
        if not fits:  # in what is scored it counts, as wrong as it will be
            understanding.mend(place, "too short for all that its transcript says, so that it cannot be right")
        if sound.seconds > self.longest:
            reason = f"longer than {self.longest:.3g} s: it is scored in pieces, but not learned from; cut it between sentences"
            understanding.mend(place, reason)
        for doubt in sound.doubts:
            understanding.mend(place, doubt)
        who = listed.speaker
        return Utterance(
            place, str(listed.audio), said, round(sound.seconds, 4), self._identity(sound), sound.file_rate, who,
            who if grouped else None, fits=fits,
        )  # fmt: skip

    def _identity(self, sound: Sound) -> str:
        """The checksum of what is heard, whose features are kept."""
        identity = hashlib.sha256(np.ascontiguousarray(sound.samples).tobytes()).hexdigest()
        if (identity, 1.0) not in self.kept:
            self.keep(identity, sound.samples)
        return identity


def inputs_in(manifest: str | Path, records: Sequence[Record], column: str) -> list[dict[str, Any]]:
    """The records of a manifest as inputs, their paths from where it lies. Raises TextError for one that names no recording."""
    found = []
    for record in records:
        name = (as_text(record.values.get(column)) or "").strip()
        if not name:
            raise TextError(f"{record.place}: no recording is named under {column!r}")
        found.append({**record.values, "audio": str(resolved_audio(Path(manifest), name))})
    return found


def _told(found: Sequence[Utterance]) -> str:
    """How much sound there is, in a line."""
    seconds = np.array([utterance.seconds for utterance in found])
    rates = Counter(utterance.rate for utterance in found)
    speakers = {utterance.speaker for utterance in found if utterance.speaker is not None}
    middle, longest = np.median(seconds), seconds.max()
    return (
        f"{human_time(float(seconds.sum()))} of sound: recordings of {middle:.1f} s in the median, {longest:.1f} s the longest; sampled at "
        + ", ".join(f"{rate:,} Hz" for rate, _ in rates.most_common(3))
        + (f"; {len(speakers):,} speakers" if speakers else "")
    )
