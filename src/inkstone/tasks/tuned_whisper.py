"""A Whisper that learns from recordings: the transcript of each, after what its decoder begins with.

    loss = −Σ log p(tokenᵢ | sound, start language task no-times token₁ … tokenᵢ₋₁),        a token of the text, or its end, in the mean

What begins the text is read and not learned. Recordings carry no times, so that none are learned; one that fits into the window is
written without them, a longer one window by window, with the times that the checkpoint knows. Transcripts are learned as they stand,
with case and punctuation, since that is how a Whisper writes; scored is what is spoken. Sound is learned at several speeds, and stretches
of it are blanked, as by the other models of speech. Source: Radford et al. 2022, section 2.3.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.audio.augmentation import Masks, spec_augment
from inkstone.audio.reading import RATE
from inkstone.audio.whisper_features import FRAMES_A_SECOND, HOP, whisper_features
from inkstone.errors import RecipeError
from inkstone.hub.folder import read_config
from inkstone.hub.whisper import settings_from, speech_tokens
from inkstone.inference.whisper_decoding import Decoding
from inkstone.layers.cross_entropy import smoothed_nats
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.whisper import Whisper
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.foreign_speech import ForeignTranscribe, PlainEars, WhisperPredictor
from inkstone.tasks.framing import Frame
from inkstone.tasks.recordings import Utterance
from inkstone.tasks.task_settings import from_settings
from inkstone.tasks.transcribe import NO_TOKENS
from inkstone.tasks.understanding import Understanding
from inkstone.text.spoken import as_spoken
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.tokenizer import Tokenizer

# Settings of `Transcribe` that a Whisper has no use for.
OF_OTHERS = ("rate", "throats", "microphones", "floor", "beams", "language_model", "alpha", "beta", "lines")
WIDE = "\u2e80"  # characters from here on are written without blanks between words


class WindowEars(PlainEars):
    """Keeps the features of recordings, without the silence after them, and no sound: of those that are learned from."""

    def __init__(self, bins: int, frames: int):
        super().__init__(RATE)
        self.bins, self.frames, self.longest = bins, frames, frames / FRAMES_A_SECOND

    def keep(self, identity: str, samples: Float[np.ndarray, " n"], speed: float = 1.0) -> None:
        """Compute the features of a recording that fits into a window; its last frame is silence, if there is any."""
        if len(samples) > self.frames * HOP:
            self.kept[identity, speed] = np.zeros((0, self.bins), dtype=np.float32)
            return
        found = whisper_features(samples, self.bins, least=self.frames * HOP).T
        heard = max((found != found[-1]).any(1).nonzero().flatten().tolist(), default=-1) + 1
        self.kept[identity, speed] = found[: min(heard + 1, self.frames)].contiguous().numpy()


@dataclass
class TunedWhisper(ForeignTranscribe):
    """The task `transcribe` where a Whisper is tuned. `begin` tells it which."""

    written: bool = True
    speeds: Sequence[float] = (0.9, 1.1)
    throats: float = 0.0
    microphones: float = 0.0
    floor: float = 0.0
    source_language: str | None = None  # that is spoken; None: that of the transcripts

    body_settings: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold, and those of models that a Whisper is none of."""
        super().__post_init__()
        fresh = {each: field.default for each, field in type(self).__dataclass_fields__.items()}
        for name in OF_OTHERS:
            if getattr(self, name) != fresh[name]:
                raise RecipeError(f"task.{name}: a Whisper has no such setting; leave it out")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "TunedWhisper":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, settings)

    def begin(self, folder: Path, learns: bool = True) -> "TunedWhisper":
        """Take from a checkpoint what texts begin with, and how sound is heard. Raises RunError for one that cannot be read."""
        config = read_config(folder)
        shape = settings_from(config, folder / "config.json")
        self.tokenizer = Tokenizer.load(folder)
        self.speech = speech_tokens(folder, config, self.tokenizer)
        self.longest_text = shape.context
        self.ears = WindowEars(shape.bins, shape.frames) if learns else PlainEars(RATE)
        self.decoding = Decoding(language=self.source_language, times=False)
        if self.source_language is not None:
            self.speech.language(self.source_language)
        return self

    def predictor(self, model: Headed) -> WhisperPredictor:
        """What asks the model while it learns, and after."""
        return TunedPredictor(model, self)

    def listen(self, language: str | None, to: str | None, words: bool = False) -> None:
        """As `ForeignTranscribe`; where nothing is said of it, the language is the one that was learned."""
        super().listen(language or self.source_language, to, words)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Utterance]:
        """The recordings of manifests and folders; of the training part those that cannot be learned from are named."""
        grouped = self.group_column is not None
        found = self.ears.read(sources, self.columns, grouped, self.written, understanding)
        learned = understanding.part == "train"
        if learned and found and self.source_language is None and self.speech.languages:
            self._settle_language(understanding)
        for example, ids in zip(found, self._ids(found), strict=True) if learned else ():
            if len(ids) > self.longest_text:
                reason = f"its transcript has {len(ids):,} tokens, and {self.longest_text:,} can be written: not learned from; cut it"
                understanding.mend(example.place, reason)
        return found

    def encode(self, examples: Sequence[Utterance], frame: Frame) -> list[list[Encoded]]:
        """A window and what is to be written of it; of a recording or a transcript that is too long, nothing."""
        encoded = []
        for example, ids in zip(examples, self._ids(examples), strict=True):
            features = self.ears.features(example) if example.silence is None else NO_TOKENS
            known = example.transcript and example.fits and len(features) and len(ids) <= self.longest_text
            encoded.append([Encoded(NO_TOKENS, features=features, written=ids)] if known else [])
        return encoded

    def head(self) -> HeadSettings:
        """The body's own output."""
        return HeadSettings("text", dropout=0.0)

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a token of the transcripts."""
        nats, row = self._nats(model, batch, generator)
        weight = batch.weight[row]
        return (nats * weight).sum() / weight.sum()

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The nats of the transcripts, summed, and the number of their tokens."""
        nats, _ = self._nats(model, batch, None)
        return float(nats.double().sum()), len(nats)

    def as_it_began(self) -> str:
        """The checkpoint without what it learned here."""
        return "as it began"

    def measures(self, examples: Sequence[Utterance], answers: Sequence[Answer]) -> dict[str, Measure]:
        """As `Transcribe`, of what is spoken, on both sides."""
        return super().measures(_spoken(examples), answers)

    def mistakes(self, examples: Sequence[Utterance], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """As `Transcribe`, of what is spoken, on both sides."""
        return super().mistakes(_spoken(examples), answers)

    def _settle_language(self, understanding: Understanding) -> None:
        known = [name for name, _ in understanding.languages.most_common() if name in self.speech.languages]
        if not known:
            raise RecipeError(
                "the language of the transcripts is none that the checkpoint knows; name it: --set task.source_language=CODE"
            )
        self.source_language = known[0]
        self.decoding = replace(self.decoding, language=known[0])
        understanding.notices.append(f"spoken language: {known[0]}, as the transcripts have it (task.source_language)")

    def _before(self) -> tuple[int, ...]:
        """What a text begins with."""
        language = None if self.source_language is None else self.speech.language(self.source_language)
        return self.speech.prompt(language, times=False)

    def _ids(self, examples: Sequence[Utterance]) -> Iterator[Int[np.ndarray, " u"]]:
        """What is written of each after the start token: language and task, no times, the text, its end."""
        before = self._before()[1:]
        texts = [text if text[:1] >= WIDE else f" {text}" for text in (example.text for example in examples)]
        for ids in self.tokenizer.encode_batch(texts):
            yield np.array([*before, *ids.tolist(), self.speech.end], dtype=np.int64)

    def _nats(
        self, model: Headed, batch: ExampleBatch, generator: torch.Generator | None
    ) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
        """Those of each token of the transcripts and their ends, and the row that it is of."""
        body, written, valid = model.body, batch.written, batch.written_valid
        assert isinstance(body, Whisper) and written is not None and valid is not None and batch.frames is not None
        features = batch.features
        assert features is not None
        # The silence after a recording is its last frame over again.
        place = torch.arange(body.settings.frames, device=features.device).minimum(batch.frames[:, None] - 1)
        if self.spec_augment and model.training and generator is not None:
            features = spec_augment(features, batch.frames, Masks(), generator)
        window = features.gather(1, place[..., None].expand(-1, -1, features.shape[2])).transpose(1, 2)
        first = torch.full_like(written[:, :1], body.first)
        states = body.hidden(torch.cat((first, written[:, :-1]), dim=1), memory=body.encode(window))
        told = valid.clone()
        told[:, : len(self._before()) - 1] = False
        return smoothed_nats(states[told], body.output_weight, written[told], 0.0), told.nonzero()[:, 0]


class TunedPredictor(WhisperPredictor):
    """A Whisper that was tuned: recordings that fit into its window are written without times, as it learned to."""

    def __init__(self, model: Headed, task: TunedWhisper):
        self.model, self.listener, self.task, self.cut = model, model.body, task, []
        self.frame = Frame.of(model.tokenizer, model.settings.context)

    def outputs(self, examples: Sequence[Utterance]) -> list[list[Any]]:
        """The transcript of each recording; none of one in which nothing can be heard."""
        self.model.eval()
        window, plain = self.listener.settings.frames / FRAMES_A_SECOND, self.task.decoding
        outputs: list[list[Any]] = [[] for _ in examples]
        for times in (False, True):
            own = [number for number, example in enumerate(examples) if (example.seconds > window) == times]
            self.task.decoding = replace(plain, times=times)
            for number, found in zip(own, super().outputs([examples[number] for number in own]), strict=True):
                outputs[number] = found
        self.task.decoding = plain
        return outputs


def _spoken(examples: Sequence[Utterance]) -> list[Utterance]:
    return [replace(example, transcript=as_spoken(example.text)) for example in examples]
