"""Semantic roles: who did what to whom, when, where and why, for each predicate of a sentence.

    p(tags | words, predicate) = Πᵢ softmax(scoresᵢ)[tagᵢ]      BIO of ARG0, ARG1, ARGM-TMP, ...

One model does two things. It reads a sentence once without a mark and tells its predicates (label V); then once for each
predicate, which is marked, and tells the roles. A body that reads the focus (`models/word_reader.py`) gets for each word how far it
stands from the predicate; before any other, the predicate is said first and stands between two end tokens.

Decoding is held to BIO, keeps the predicate's own words out, and gives each core role once (Punyakanok et al. 2008).
Sources: Gildea and Jurafsky 2002; Zhou and Xu 2015 and He et al. 2017 (roles as tags of a deep LSTM with the predicate marked).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.tag_schemes import Span, spans_of
from inkstone.layers.seen_from import ASKED
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.framing import Frame
from inkstone.tasks.role_decoding import distances, tags_of_batch
from inkstone.tasks.role_scores import ROLE_F1, role_details, role_measures, role_mistakes
from inkstone.tasks.role_sentences import (
    RoleExample,
    asked_example,
    learned_roles,
    predicate_tags,
    role_example,
    role_tags,
)
from inkstone.tasks.tagged import words_in_columns
from inkstone.tasks.task_settings import from_settings, with_tuples
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.word_windows import Window, encode_words, windows
from inkstone.text.predicates import VERB, question_of
from inkstone.text.role_records import Misread
from inkstone.text.role_tables import read_roles
from inkstone.text.word_cutting import Cutting, Units
from inkstone.tokens.example_batches import NOT_ASKED, Encoded, ExampleBatch

SAID_FIRST = 8  # tokens of the predicate, at most, before a sentence
FEWEST = 2  # times that a role must be seen to be learned


@dataclass(frozen=True)
class Reading:
    """The tags of the words of one input, and the logarithm of how likely they are together."""

    tags: list[str]
    log_chance: float


@dataclass
class Roles:
    """The task. How new text is cut into words follows the training part."""

    text_column: str | int | None = None  # of the words, where they are not found
    dropout: float = 0.2  # of the head
    dense: bool = False
    once: bool = True  # whether a predicate has each core role once at most
    units: Units = "words"  # see `Cutting`
    clitics: bool = False
    handles: bool = False
    settled: bool = False  # whether data were read, and with them the cutting
    labels: tuple[str, ...] = field(default=())  # the roles

    name: ClassVar[str] = "roles"
    body: ClassVar[str] = "word_reader"
    body_settings: ClassVar[Mapping[str, Any]] = {"dropout": 0.15}  # every word is read again for each predicate
    score: ClassVar[str] = ROLE_F1

    @property
    def cutting(self) -> Cutting:
        """How running text becomes words."""
        return Cutting(self.units, self.clitics, self.handles)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Roles":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, with_tuples(settings))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[RoleExample]:
        """The sentences of PropBank columns, Universal Propositions or JSON lines."""
        sentences = list(read_roles(sources, understanding, word_column=self.text_column))
        if not self.settled and sentences:
            cutting, self.settled = Cutting.of([sentence.words for sentence in sentences]), True
            self.units, self.clitics, self.handles = cutting.units, cutting.clitics, cutting.handles
            if not any(sentence.words for sentence in sentences):
                self.units = "han"  # spans of Chinese begin and end where they like, not at the words of a dictionary
        found = []
        for sentence in sentences:
            try:
                example = role_example(sentence, self.cutting, understanding)
            except Misread as error:
                understanding.refuse(sentence.place, str(error))
                continue
            assert example.predicates is not None
            if any(len(learned_roles(each)) < len(each.roles) for each in example.predicates):
                understanding.mend(
                    example.place, "roles of a predicate overlap; the longest is learned, all of them are scored"
                )
            found.append(example)
        understanding.labels = Counter(
            role.label for own in found for predicate in own.predicates or () for role in predicate.roles
        )
        understanding.look_at([example.text for example in found])
        total = sum(len(example.predicates or ()) for example in found)
        understanding.notices.append(f"{total:,} predicates with {understanding.labels.total():,} roles")
        understanding.close(len(found))
        return found

    def asked(self, inputs: Sequence[Any]) -> list[RoleExample]:
        """Texts, lists of words, or records with `tokens` or `text`, which may say their predicates."""
        return [
            asked_example(given, f"input {number}", self.cutting, self.text_column)
            for number, given in enumerate(inputs, 1)
        ]

    def inputs_of(self, file: str | Path) -> list[Any] | None:
        """The words of CoNLL-U and of columns, told by the name of the file; None for others."""
        return words_in_columns(file)

    def learn(self, examples: Sequence[RoleExample]) -> None:
        """The roles that occur more than once. Raises TextError where there is no predicate with a role."""
        seen = Counter(role.label for example in examples for each in example.predicates or () for role in each.roles)
        self.labels = tuple(sorted(role for role, times in seen.items() if times >= FEWEST) or sorted(seen))
        if not seen:
            raise TextError("no predicate of the training part has a role; there is nothing to learn")

    @property
    def tags(self) -> tuple[str, ...]:
        """What the model tells of a word: BIO of the roles and of the predicate."""
        return ("O", *(f"{letter}-{role}" for role in (VERB, *self.labels) for letter in "BI"))

    def head(self) -> HeadSettings:
        """Scores of the tags for each word."""
        return HeadSettings("token", self.tags, dense=self.dense, dropout=self.dropout)

    def texts(self, examples: Sequence[RoleExample]) -> list[str]:
        """The texts that the words stand in."""
        return [example.text for example in examples]

    def encode(self, examples: Sequence[RoleExample], frame: Frame) -> list[list[Encoded]]:
        """The windows of each sentence without a mark, then for each predicate the window that it stands in.

        Raises RecipeError where the context leaves no room for a sentence.
        """
        number = {tag: at for at, tag in enumerate(self.tags)}
        if not frame.reads_focus:  # room for the predicate before the sentence, and for what stands around it
            narrow = replace(frame, context=frame.context - SAID_FIRST - 3)
            if narrow.room < 1:
                raise RecipeError(
                    f"a context of {frame.context} tokens leaves no room for a sentence beside its predicate; set a larger "
                    "model.context"
                )
        else:
            narrow = frame
        spelled = encode_words(frame, [[e.sentence.piece(at) for at in range(len(e.words))] for e in examples])
        encoded = []
        for example, words in zip(examples, spelled, strict=True):
            parts, inputs = windows(narrow, words), []
            known = example.predicates
            tags = predicate_tags(known, len(words)) if known is not None else None
            for part in parts:
                focus = np.zeros(part.stop - part.first, np.int64)
                target = _numbers(tags, part, number)
                inputs.append(Encoded(part.ids, units=part.units, target=target, focus=focus, cut=part.cut))
            for each in known or ():
                part = next(part for part in parts if part.first <= each.start < part.stop)
                places = np.arange(part.first, part.stop)
                focus = distances(places, each.start, each.stop)
                target = _numbers(role_tags(each, len(words)), part, number)
                assert target is not None
                target[focus == ASKED] = NOT_ASKED
                own = part if frame.reads_focus else _shown(part, frame, words, each.start, each.stop)
                inputs.append(Encoded(own.ids, units=own.units, target=target, focus=focus))
            encoded.append(inputs)
        return encoded

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a word's tag."""
        scores, target = model(batch).float(), batch.target
        assert target is not None
        each = F.cross_entropy(scores.transpose(1, 2), target, ignore_index=NOT_ASKED, reduction="none")
        weight = batch.weight[:, None] * (target != NOT_ASKED)
        return (each * weight).sum() / weight.sum().clamp(min=1)

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Reading]:
        """The best tags of each row: predicates where nothing is marked, else roles."""
        scores = model(batch).float().cpu()
        assert batch.unit_valid is not None and batch.focus is not None
        lengths = batch.unit_valid.sum(1).cpu()
        names = self.tags
        tags, chances = tags_of_batch(scores, batch.focus.cpu(), lengths, names, once=self.once)
        rows = zip(tags.tolist(), chances.tolist(), lengths.tolist(), strict=True)
        return [Reading([names[tag] for tag in own[:n]], chance) for own, chance, n in rows]

    def further(self, example: RoleExample, outputs: Sequence[Reading]) -> RoleExample:
        """The example with the predicates that were found, so that it can be asked for their roles."""
        if example.predicates is not None:
            return example
        tags = [tag for output in outputs for tag in output.tags]
        return example.with_predicates([(start, stop) for start, stop, _ in spans_of(tags, strict=False)])

    def answer(self, example: RoleExample, outputs: Sequence[Reading]) -> Answer:
        """The predicates with their roles, each with its words and, of a text, its place."""
        read, firsts = 0, []
        passes = iter(outputs)
        found: list[Span] = []
        while read < len(example.words):
            own = next(passes)
            found += [Span(read + a, read + b, label) for a, b, label in spans_of(own.tags, strict=False)]
            firsts.append(read)
            read += len(own.tags)
        said: Answer = {"tokens": list(example.words)}
        sentence = example.sentence
        if sentence.given_text:
            ends = [start + len(word) for start, word in zip(sentence.starts, sentence.words, strict=True)]
            said["offsets"] = [[begin, end] for begin, end in zip(sentence.starts, ends, strict=True)]
        predicates = []
        for each, own in zip(example.predicates or (), passes, strict=True):
            first = max(at for at in firsts if at <= each.start)
            roles = [
                {"label": label, "question": question_of(label), **self._words(example, first + start, first + stop)}
                for start, stop, label in spans_of(own.tags, strict=False)
            ]
            chance = float(np.exp(min(0.0, own.log_chance)))
            predicates.append({**self._words(example, each.start, each.stop), "roles": roles, "probability": chance})
        said["predicates"] = predicates
        return said if example.found else said | {"found": [[start, stop] for start, stop, _ in found]}

    def _words(self, example: RoleExample, start: int, stop: int) -> dict[str, Any]:
        sentence = example.sentence
        begin, end = sentence.starts[start], sentence.starts[stop - 1] + len(sentence.words[stop - 1])
        places = {"start": begin, "end": end} if sentence.given_text else {}
        return {"text": sentence.text[begin:end], **places, "tokens": [start, stop]}

    def measures(self, examples: Sequence[RoleExample], answers: Sequence[Answer]) -> dict[str, Measure]:
        """F1 of the roles of given predicates, and of finding the predicates."""
        return role_measures(examples, answers)

    def details(self, examples: Sequence[RoleExample], answers: Sequence[Answer]) -> dict[str, Any]:
        """Precision, recall and F1 of each role."""
        return role_details(examples, answers)

    def mistakes(self, examples: Sequence[RoleExample], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Sentences with the roles in which gold and answer differ."""
        return role_mistakes(examples, answers)


def _numbers(tags: Sequence[str] | None, part: Window, number: Mapping[str, int]) -> np.ndarray | None:
    """The tags of a window; what was too rare to be learned is no role."""
    if tags is None:
        return None
    return np.array([number.get(tag, 0) for tag in tags[part.first : part.stop]], np.int64)


def _shown(part: Window, frame: Frame, words: Sequence[np.ndarray], start: int, stop: int) -> Window:
    """The window with the predicate said first and between two end tokens, for a body that reads no focus."""
    end = np.array([frame.tokenizer.end], np.int64)
    said = np.concatenate(words[start:stop])[:SAID_FIRST]
    stop = min(stop, part.stop)
    begins = int(part.units[start - part.first])
    ends = int(part.units[stop - part.first]) if stop < part.stop else len(part.ids) - len(frame.after)
    before = len(frame.before)
    pieces = [part.ids[:before], said, end, part.ids[before:begins], end, part.ids[begins:ends], end, part.ids[ends:]]
    moved = part.units + len(said) + 1
    moved = moved + (part.units >= begins) + (part.units >= ends)
    return Window(np.concatenate(pieces).astype(np.int64), moved, part.first, part.stop)
