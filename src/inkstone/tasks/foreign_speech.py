"""Transcription by a Whisper checkpoint: text, language, segments with their times, and where they are asked for those of words.

It is asked, and scored, as a run that was tuned to transcribe. It writes case and punctuation and numbers as it learned to; where
answers are scored, both sides are taken as they are spoken (`text/spoken.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.audio.reading import RATE, read_audio
from inkstone.errors import RunError
from inkstone.hub.whisper import speech_tokens
from inkstone.inference.long_recordings import Transcript, transcribe
from inkstone.inference.whisper_decoding import Decoding
from inkstone.models.whisper import Whisper
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor
from inkstone.tasks.recordings import Ears, Utterance
from inkstone.tasks.transcribe import Transcribe
from inkstone.text.spoken import as_spoken
from inkstone.tokens.speech_tokens import SpeechTokens
from inkstone.tokens.tokenizer import Tokenizer

ENGLISH = "en"  # all that a Whisper translates into
DIGITS = 2  # of seconds
MOST_KEPT = 50_000_000  # samples, 200 MB: 52 minutes of sound


class PlainEars(Ears):
    """Reads recordings once: the sound of those that were looked at is kept until it is heard, as far as there is room for it.

    A Whisper has features of its own.
    """

    def __init__(self, rate: int):
        super().__init__(rate)
        self.sounds: dict[str, Float[np.ndarray, " n"]] = {}
        self.room = MOST_KEPT

    def keep(self, identity: str, samples: Float[np.ndarray, " n"], speed: float = 1.0) -> None:
        """Keep the sound, if there is room."""
        if len(samples) <= self.room and identity not in self.sounds:
            self.sounds[identity] = samples
            self.room -= len(samples)

    def taken(self, utterance: Utterance) -> Float[np.ndarray, " n"]:
        """The sound of a recording, which is let go of; read again where it was not kept."""
        kept = self.sounds.pop(utterance.identity, None)
        if kept is None:
            return read_audio(utterance.content or utterance.audio, self.rate).samples
        self.room += len(kept)
        return kept


class ForeignTranscribe(Transcribe):
    """What a Whisper is asked for. `decoding` is how it writes."""

    def __init__(self, tokens: SpeechTokens, tokenizer: Tokenizer):
        super().__init__(rate=RATE)
        self.ears: PlainEars = PlainEars(RATE)
        self.speech, self.tokenizer, self.decoding = tokens, tokenizer, Decoding()

    def listen(self, language: str | None, to: str | None, words: bool = False) -> None:
        """What language is spoken (none: told from the sound), which one to write (none: the same), and whether words have times.

        Raises RunError for one that the checkpoint does not know.
        """
        if language is not None:
            self.speech.language(language)
        if to is not None and to not in (ENGLISH, language):
            raise RunError(f"a Whisper writes the language that is spoken, or {ENGLISH}; it has no way to write {to!r}")
        translate = to == ENGLISH != language
        if translate and self.speech.translate is None:
            raise RunError("this checkpoint has no token for translation; leave out the language to write")
        self.decoding = replace(self.decoding, language=language, translate=translate, words=words)

    def answer(self, example: Utterance, outputs: Sequence[Transcript]) -> Answer:
        """Text, language, segments with their times in seconds, the mean probability of a token, and the recording's length."""
        found = outputs[0] if outputs else Transcript(example.seconds)
        heard = [(segment.heard.log_probability, len(segment.ids)) for segment in found.segments]
        mean = sum(each * n for each, n in heard) / max(1, sum(n for _, n in heard))
        told: Answer = {
            "text": found.text(self.tokenizer),
            "language": found.language,
            "segments": [
                {"start": round(segment.start, DIGITS), "end": round(segment.end, DIGITS), "text": segment.text}
                for segment in found.segments
            ],
            "confidence": float(np.exp(mean)) if heard else 0.0,
            "seconds": example.seconds,
        }
        if self.decoding.words:
            told["words"] = [
                {"word": word.text, "start": round(word.start, DIGITS), "end": round(word.end, DIGITS)}
                for segment in found.segments
                for word in segment.words
            ]
        if found.languages and found.language is not None:
            told["language_probability"] = found.languages[found.language]
        if not found.segments:
            told["notice"] = example.silence or "nobody was found to speak"
        return told

    def measures(self, examples: Sequence[Utterance], answers: Sequence[Answer]) -> dict[str, Measure]:
        """As `Transcribe`, of what is spoken."""
        return super().measures(examples, self._spoken(answers))

    def mistakes(self, examples: Sequence[Utterance], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """As `Transcribe`, of what is spoken."""
        return super().mistakes(examples, self._spoken(answers))

    def _spoken(self, answers: Sequence[Answer]) -> list[Answer]:
        return [{**answer, "text": as_spoken(answer["text"])} for answer in answers]


class WhisperPredictor(Predictor):
    """A Whisper, to be asked again and again."""

    def __init__(self, model: Whisper, config: Mapping[str, Any], folder: Path):
        self.listener, self.cut = model, []
        self.task: ForeignTranscribe = ForeignTranscribe(
            speech_tokens(folder, config, model.tokenizer), model.tokenizer
        )
        self.frame = Frame.of(model.tokenizer, model.settings.context)

    def outputs(self, examples: Sequence[Utterance]) -> list[list[Any]]:
        """The transcript of each recording; none of one in which nothing can be heard."""
        numbers = [number for number, example in enumerate(examples) if example.silence is None]

        def sounds() -> Iterator[Float[np.ndarray, " n"]]:
            for number in numbers:
                yield self.task.ears.taken(examples[number])

        outputs: list[list[Any]] = [[] for _ in examples]
        for number, transcript in transcribe(self.listener, self.task.speech, sounds(), self.task.decoding):
            outputs[numbers[number]] = [transcript]
        return outputs
