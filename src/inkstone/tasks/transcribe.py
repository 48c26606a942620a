"""Speech recognition: recordings in, what is said in them and when out.

An encoder of speech reads log-mel features and says of each 40 ms which token is spoken there, if any; the loss is that of CTC,
−log Σ p(path) over all paths that spell the transcript (Graves et al. 2006). Each time that a recording is learned from, stretches of
it are blanked (SpecAugment), and it is learned at several speeds. What is said is found by prefix beam search, with a language model
beside it where one is named, whose weights are chosen on dev; when each word is said, by the best path that spells the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from inkstone.audio.augmentation import Masks, other_microphones, other_throats, spec_augment
from inkstone.audio.features import SHIFT
from inkstone.audio.reading import RATE, is_audio
from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.intervals import ratio, with_ones
from inkstone.evaluation.word_errors import character_edits, word_edits
from inkstone.inference.ctc_search import Heard, greedy, prefix_beam_search
from inkstone.inference.language_fusion import LanguageFusion
from inkstone.inference.long_sounds import piece_bounds, step_of, stitched
from inkstone.inference.word_times import word_times
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.framing import Frame
from inkstone.tasks.fused_language import (
    ROUNDS,
    choose_weights,
    keep_language_model,
    learned_lines,
    open_language_model,
)
from inkstone.tasks.recordings import EDGE, Ears, Utterance, inputs_in
from inkstone.tasks.task_settings import from_settings
from inkstone.tasks.understanding import Understanding
from inkstone.text.augmentation import Neighbours
from inkstone.text.records import read_records
from inkstone.text.transcripts import Columns, columns_of
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.tokenizer import Tokenizer

SCORE = "word accuracy"
LANGUAGE = "language"  # the folder of the language model in that of the run
BEAMS_TO_CHOOSE = 16  # texts of each recording by which the weights of the language model are chosen
NO_TOKENS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Listened:
    """What the model says of a piece of a recording: the log-probability of each token at each state."""

    log_probabilities: Float[np.ndarray, "s v"]
    frames_a_state: int
    tokenizer: Tokenizer


@dataclass
class Transcribe:
    """The task. Columns that are not named are found by their names."""

    audio_column: str | None = None
    text_column: str | None = None
    group_column: str | None = None  # of speakers, who then stay on one side of every split
    rate: int | None = (
        None  # samples a second that the model hears; None: as many as the recordings have, `RATE` at most
    )
    written: bool = False  # whether case and punctuation of the transcripts are learned
    speeds: Sequence[float] = (0.8, 0.9, 1.1, 1.25)  # at which recordings are learned besides their own
    throats: float = 0.15  # the share by which frequencies are moved at most, as in other people's throats; 0: not
    microphones: float = 5.0  # decibels, the deviation by which frequencies are louder or softer; 0: not
    floor: float = 30.0  # decibels under loud speech from which on down all is silence; 0: nothing is cut off
    spec_augment: bool = True
    beams: int = 8  # texts under way at a time; 1: the likeliest path alone
    language_model: str | None = None  # a run or a checkpoint that listens in
    alpha: float | None = None  # its weight, and what each word is worth; None: chosen on dev
    beta: float | None = None
    lines: bool | None = field(
        default=None
    )  # whether the language model learned lines of a text; None: not settled yet
    language_folder: str = field(default=LANGUAGE)  # where in the run's folder it lies

    name: ClassVar[str] = "transcribe"
    score: ClassVar[str] = SCORE
    body: ClassVar[str] = "speech_encoder"
    body_settings: ClassVar[Mapping[str, Any]] = {}
    labels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold."""
        if self.rate is not None and self.rate < 2000:
            raise RecipeError(f"task.rate = {self.rate}, but speech needs at least 2,000 samples a second")
        if self.beams < 1:
            raise RecipeError(f"task.beams = {self.beams}, but must be at least 1")
        if not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise RecipeError(f"task.speeds = {list(self.speeds)}, but a speed lies from 0.5 to 2")
        if not 0 <= self.throats < 0.5:
            raise RecipeError(f"task.throats = {self.throats}, but must be from 0 to below 0.5")
        for name, most in (("microphones", 20), ("floor", 120)):
            if not 0 <= getattr(self, name) <= most:
                raise RecipeError(f"task.{name} = {getattr(self, name)}, but must be from 0 to {most} decibels")
        if self.alpha is not None and self.alpha < 0:
            raise RecipeError(f"task.alpha = {self.alpha}, but must be at least 0")
        self.speeds = tuple(self.speeds)
        self.ears, self.fusion = Ears(self.rate or RATE, self.floor), None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Transcribe":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        if "language_folder" in settings:  # which runs alone say; those of before there was a floor heard without
            settings = {"floor": 0.0, **settings}
        return from_settings(cls, settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "speeds": list(self.speeds)}

    @property
    def passes_to_settle(self) -> int:
        """How many times as long as answering takes it takes to choose the weights of a language model; without one, nothing is chosen."""
        wider = max(1, BEAMS_TO_CHOOSE // self.beams)
        return 0 if self.language_model is None else ROUNDS * wider

    @property
    def columns(self) -> Columns:
        """The columns of a manifest."""
        return Columns(self.audio_column, self.text_column, self.group_column)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Utterance]:
        """The recordings of manifests and folders, each opened and looked at."""
        self.rate = self.rate or self.ears.settle_rate(sources, self.columns)
        grouped = self.group_column is not None
        return self.ears.read(sources, self.columns, grouped, self.written, understanding)

    def inputs_of(self, file: str | Path) -> list[Any] | None:
        """A file of sound is one input, a manifest one a row."""
        if is_audio(file):
            return [str(file)]
        records = list(read_records([file]))
        return list(inputs_in(file, records, columns_of(records[0].values, self.columns, str(file))[0]))

    def asked(self, inputs: Sequence[Any]) -> list[Utterance]:
        """Recordings: paths, the bytes of a file, or records with the key `audio`."""
        return [self.ears.asked(given, number) for number, given in enumerate(inputs, 1)]

    def learn(self, examples: Sequence[Utterance]) -> None:
        """Raises TextError where there is nothing to learn."""
        if not any(example.transcript for example in examples):
            raise TextError("no recording of the training part has a transcript; there is nothing to learn")

    def head(self) -> HeadSettings:
        """Scores of all tokens for each state."""
        return HeadSettings("ctc")

    def texts(self, examples: Sequence[Utterance]) -> list[str]:
        """The transcripts, a blank before each: a word is then one token wherever it stands."""
        return [f" {example.text}" for example in examples]

    def varied(
        self, examples: Sequence[Utterance], generator: np.random.Generator, neighbours: Neighbours | None
    ) -> list[Utterance]:
        """Each recording at other speeds (Ko et al. 2015)."""
        return [replace(each, speed=speed) for speed in self.speeds if speed != 1 for each in examples]

    def encode(self, examples: Sequence[Utterance], frame: Frame) -> list[list[Encoded]]:
        """The pieces of each recording; its transcript is learned only where there is one piece."""
        encoded, texts = [], self.texts(examples)
        if frame.tokenizer.kind == "character":  # of which a blank would be one more that nobody says
            texts = [text[1:] for text in texts]
        for example, ids in zip(examples, frame.tokenizer.encode_batch(texts), strict=True):
            if example.silence is not None:
                encoded.append([])
                continue
            features = self.ears.features(example)
            if example.transcript is None:  # else who is asked again and again would keep all that was ever heard
                self.ears.forget(example)
            pieces = [features[begin:end] for begin, end in piece_bounds(len(features), frame.context)]
            known = example.transcript and example.fits and len(pieces) == 1
            written = ids.astype(np.int64) if known else None
            encoded.append([Encoded(NO_TOKENS, features=piece, written=written) for piece in pieces])
        return encoded

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a token of the transcripts."""
        features, frames = batch.features, batch.frames
        assert features is not None and frames is not None
        if self.throats and model.training:
            factors = 1 + self.throats * (2 * torch.rand(len(features), generator=generator) - 1)
            features = other_throats(features, factors, self.ears.rate)
        if self.microphones and model.training:
            features = other_microphones(features, self.microphones, generator)
        if self.spec_augment and model.training:
            features = spec_augment(features, frames, Masks(), generator)
        batch = replace(batch, features=features)
        assert batch.written_valid is not None
        each, tokens = self._nats_of_transcripts(model, batch), batch.written_valid.sum(1)
        return (each * batch.weight).sum() / (tokens * batch.weight).sum()

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The nats of the transcripts, summed, and the number of their tokens."""
        assert batch.written_valid is not None
        return float(self._nats_of_transcripts(model, batch).double().sum()), int(batch.written_valid.sum())

    def _nats_of_transcripts(self, model: Headed, batch: ExampleBatch) -> Float[Tensor, " b"]:
        assert batch.written is not None and batch.written_valid is not None
        scores, states = model.heard(batch)
        return F.ctc_loss(
            scores.transpose(0, 1), batch.written, states, batch.written_valid.sum(1), blank=model.tokenizer.end,
            reduction="none", zero_infinity=True,
        )  # fmt: skip

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Listened]:
        """The log-probabilities of each row, up to where its recording ends."""
        scores, states = model.heard(batch)
        rows = zip(scores.cpu().numpy(), states.tolist(), strict=True)
        return [Listened(row[:length], model.body.settings.subsampling, model.tokenizer) for row, length in rows]

    def answer(self, example: Utterance, outputs: Sequence[Listened]) -> Answer:
        """Text, words with their times in seconds, the mean probability of a token, and the length of the recording."""
        if not outputs:
            told = {"text": "", "words": [], "confidence": 0.0, "seconds": example.seconds}
            return told | {"notice": example.silence or "nothing can be heard"}
        tokenizer = outputs[0].tokenizer
        scores = self._whole(outputs)
        found = self._search(scores, tokenizer, self.fusion)[0]
        text = tokenizer.decode(found.ids).strip()
        a_state, before = SHIFT * outputs[0].frames_a_state, SHIFT * EDGE
        words = word_times(scores, found.ids, tokenizer, a_state, before, example.seconds)
        confidence = float(np.exp(found.log_chance / max(1, len(found.ids))))
        return {"text": text, "words": words, "confidence": confidence, "seconds": example.seconds}

    def measures(self, examples: Sequence[Utterance], answers: Sequence[Answer]) -> dict[str, Measure]:
        """1 − WER, WER and CER, and the share of recordings whose transcript is right to the letter."""
        pairs = [(example.text, answer["text"]) for example, answer in zip(examples, answers, strict=True)]
        words, characters = (
            np.array([(found.total, found.length) for found in (count(*pair) for pair in pairs)]).reshape(-1, 2)
            for count in (word_edits, character_edits)
        )
        right = with_ones(np.array([said == heard for said, heard in pairs]))
        return {
            SCORE: Measure(words, lambda sums: np.maximum(0.0, 1 - ratio(sums))),
            "WER": Measure(words, ratio, lower_is_better=True),
            "CER": Measure(characters, ratio, lower_is_better=True),
            "all right": Measure(right, ratio),
        }

    def mistakes(self, examples: Sequence[Utterance], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """The recording, what is said in it, and what was heard."""
        shown = []
        for example, answer in zip(examples, answers, strict=True):
            found = word_edits(example.text, answer["text"])
            shown.append(
                {
                    "place": example.place,
                    "text": Path(example.audio).name,
                    "gold": example.text,
                    "predicted": answer["text"],
                    "right": example.text == answer["text"],
                    "score": max(0.0, 1 - found.total / max(1, found.length)),
                    "confidence": answer.get("confidence"),
                }
            )
        return shown

    def settle(self, examples: Sequence[Utterance], outputs: Sequence[Sequence[Listened]]) -> None:
        """Choose by dev how the language model is asked, what its opinion counts, and what a word is worth."""
        if self.fusion is None:
            return
        heard = [
            (example.text, self._whole(own), own[0].tokenizer)
            for example, own in zip(examples, outputs, strict=True)
            if own
        ]
        if self.lines is None:
            self.lines = learned_lines(self.fusion.model, [said for said, _, _ in heard])
        fusion = replace(self.fusion, lines=self.lines, known={})

        def texts(alpha: float, beta: float) -> list[list[tuple[Heard, int]]]:
            found = []
            for said, scores, tokenizer in heard:
                each = self._search(scores, tokenizer, fusion.weighted(alpha, beta), max(self.beams, BEAMS_TO_CHOOSE))
                found.append([(one, word_edits(said, tokenizer.decode(one.ids).strip()).total) for one in each])
            return found

        self.alpha, self.beta = choose_weights(texts, self.alpha, self.beta)
        self.fusion = fusion.weighted(self.alpha, self.beta)

    def learn_beside(self, examples: Sequence[Utterance], folder: Path) -> None:
        """Keep the language model in the run's folder, if one is named."""
        if self.language_model is not None:
            keep_language_model(self.language_model, folder / LANGUAGE)

    def open_beside(self, folder: Path) -> None:
        """Let the language model listen in, if there is one."""
        if self.language_model is not None:
            model = open_language_model(folder / self.language_folder)
            self.fusion = LanguageFusion(model, self.alpha or 0.0, self.beta or 0.0, bool(self.lines))

    def beside(self, examples: Sequence[Utterance], outputs: list[list[Any]]) -> list[list[Any]]:
        """The outputs as they are: the language model is asked while a text is looked for."""
        return outputs

    def _whole(self, outputs: Sequence[Listened]) -> Float[np.ndarray, "s v"]:
        """What was heard in all pieces as one."""
        a_state = outputs[0].frames_a_state
        step = step_of(a_state * len(outputs[0].log_probabilities)) // a_state
        begins = [number * step for number in range(len(outputs))]
        return stitched([output.log_probabilities for output in outputs], begins, outputs[0].tokenizer.end)

    def _search(
        self, scores: Float[np.ndarray, "s v"], tokenizer: Tokenizer, fusion: LanguageFusion | None, beams: int = 0
    ) -> list[Heard]:
        """Texts, the best first."""
        if self.beams == 1 and fusion is None:
            return [greedy(scores, tokenizer.end)]
        return prefix_beam_search(scores, tokenizer.end, beams or self.beams, tokenizer=tokenizer, fusion=fusion)
