"""Extraction: a text in, a record out, in JSON that keeps to a schema.

    p(record | text) = Πᵢ softmax(E h(text, json₁ … jsonᵢ₋₁))[jsonᵢ],        at each i over the tokens that the schema allows

The schema is given, or induced from the training records. A decoder reads the text, an end token, and goes on with the record; an
encoder-decoder has the text in view. The loss is on the record alone. What is written is JSON of the schema, always: tokens that it
does not allow are barred (`inference/constrained.py`), and a record that is cut off is closed.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.field_scores import field_counts, same, scores_by_path
from inkstone.evaluation.intervals import ratio
from inkstone.evaluation.label_scores import by_label, f1
from inkstone.inference.beam_search import Hypothesis
from inkstone.inference.constrained import Constraint, ConstraintError, read_schema
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.columns import by_name
from inkstone.tasks.framing import Frame
from inkstone.tasks.record_columns import read_with_records
from inkstone.tasks.record_yardstick import KnownValues, MostSimilar
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.written import (
    LEAST_READ,
    Pair,
    Said,
    WritingSettings,
    continued_pair,
    encoded_pair,
    source_room,
    written_ids,
)
from inkstone.text.record_schema import compact, finite, in_order, schema_of, told
from inkstone.text.text_column import as_text, choose
from inkstone.tokens.example_batches import Encoded
from inkstone.tokens.tokenizer import Tokenizer

JUDGED = 0.2  # of the training examples, by which the yardstick is chosen
MOST_JUDGED = 300
# Entries of a tokenizer that is learned from the examples, besides characters: a value that is copied in few long pieces, each
# of them rare, is learned far more slowly than one in many short ones.
VOCABULARY = 320
OF_WIDE = (
    1.25  # entries for each character beyond ASCII, its share of the beginnings that characters have in common included
)


@dataclass
class Extract(WritingSettings):
    """The task. Columns that are not named are found by their names and contents."""

    beams: int = 1
    smoothing: float = 0.0
    schema_file: str | None = None  # a JSON schema; None: the one that the training records have
    fields: list[str] | None = None  # of a table with a column for each field, those columns
    schema: dict[str, Any] | None = None  # as it was read or induced
    continues: bool = True  # whether the body goes on with the text: a decoder

    name: ClassVar[str] = "extract"
    score: ClassVar[str] = "field F1"
    key: ClassVar[str] = "record"
    body: ClassVar[str] = "decoder"
    covered: ClassVar[float] = 1.0  # a record that does not fit cannot be learned

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold."""
        super().__post_init__()
        if self.fields is not None and self.target_column is not None:
            raise RecipeError(
                "task.fields and task.target_column: records stand in columns of fields, or in one column"
            )
        self._train: Understanding | None = None
        self.largest_vocabulary = VOCABULARY

    @cached_property
    def constraint(self) -> Constraint:
        """What may be written. Raises ConstraintError for a schema that cannot be kept to, or whose records nothing short closes."""
        assert self.schema is not None
        constraint = Constraint.json_schema(self.schema, compact=True)
        constraint.completed("")
        return constraint

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Pair]:
        """The examples of csv, tsv and JSON files: a column with the text, and one with the record or one a field."""
        if self.schema_file is not None and self.schema is None:
            self.schema = read_schema(Path(self.schema_file))
            try:
                _ = self.constraint  # refused here, before anything is read by it
            except ConstraintError as error:
                raise ConstraintError(f"{self.schema_file}: {error}") from None
        columns, rows = read_with_records(
            sources, understanding.reading, self.source_column, self.target_column, self.fields
        )
        understanding.columns = columns.told
        found: list[Pair] = []
        seen: set[str] = set()
        for row in rows:
            text = columns.text_of(row)
            if not text:
                understanding.refuse(row.place, "the text is empty")
                continue
            try:
                record = columns.record_of(row)
                target = compact(record if self.schema is None else in_order(record, self.schema))
            except TextError as error:
                understanding.refuse(row.place, str(error))
                continue
            except ValueError:
                understanding.refuse(row.place, "the record holds a number that JSON cannot hold")
                continue
            if self.schema is not None and not self.constraint.accepts(target):
                if understanding.part == "train":
                    understanding.refuse(row.place, "the record is not what the schema allows")
                    continue
                understanding.mend(row.place, "the record is not what the schema allows, so that it cannot be met")
            if text in seen:
                understanding.mend(row.place, "the text stands in the file before; both are kept")
            seen.add(text)
            found.append(Pair(row.place, text, (target,)))
        understanding.look_at([pair.source for pair in found])
        understanding.close(len(found))
        if understanding.part == "train":
            self._train = understanding
        return found

    def learn(self, examples: Sequence[Pair]) -> None:
        """Take the schema from the training records, where none is given, and say what it is."""
        super().learn(examples)
        if self.schema is None:
            self.schema = schema_of([json.loads(example.targets[0]) for example in examples])
        _ = self.constraint
        counts = Counter("".join(text for example in examples for text in (example.source, *example.targets)))
        wide = sum(count > 1 for character, count in counts.items() if character >= "\x80")
        self.largest_vocabulary = VOCABULARY + round(OF_WIDE * wide)
        if self._train is not None:
            where = f"of {self.schema_file}" if self.schema_file else "of the training records"
            self._train.notices.append(f"schema {where}: {'; '.join(told(self.schema))}")
            self._train = None

    def asked(self, inputs: Sequence[Any]) -> list[Pair]:
        """Texts, or records with the column of the text."""
        return [self._asked(given, f"input {number}") for number, given in enumerate(inputs, 1)]

    def _asked(self, given: Any, place: str) -> Pair:
        if isinstance(given, Mapping):
            samples = {name: [value] for name, value in given.items()}
            own = by_name(samples, [self.source_column.lower()]) if self.source_column else None
            given = as_text(given[own or choose(samples)])
        if not isinstance(given, str):
            raise TextError(f"{place}: {given!r} is no text, and no record with one")
        return Pair(place, given)

    def encode(self, examples: Sequence[Pair], frame: Frame) -> list[list[Encoded]]:
        """Each text with its record; of a text that is too long the end is left out, and a record that does not fit as a whole."""
        sources = frame.tokenizer.encode_batch([example.source for example in examples])
        targets = frame.tokenizer.encode_batch([self._written(example) for example in examples])
        known = [ids for example, ids in zip(examples, targets, strict=True) if example.targets]
        self.learn_length([written_ids(frame, ids) for ids in known], frame.context)
        encoded = []
        for example, source, target in zip(examples, sources, targets, strict=True):
            own = target if example.targets else None
            if self.continues:
                encoded.append([self._continued(frame, source, own)])
            else:
                fits = own is None or len(own) <= source_room(frame)
                encoded.append([encoded_pair(frame, source, own if fits else None)])
        return encoded

    def _written(self, example: Pair) -> str:
        """The record in the order of the schema, in which alone it may be written; nothing where it is not known."""
        return compact(in_order(json.loads(example.targets[0]), self.schema)) if example.targets else ""

    def unanswered(self, examples: Sequence[Pair]) -> list[Pair]:
        """The same without their records, whose length would say how much of a long text is read and how much is written."""
        return [replace(example, targets=()) for example in examples]

    def _continued(self, frame: Frame, source: np.ndarray, target: np.ndarray | None) -> Encoded:
        """As much of the text as leaves room for the record; of a record that does not fit, nothing."""
        wanted = self.longest if target is None else len(target) + 1
        room = max(int(LEAST_READ * frame.context), frame.context - wanted - len(frame.before) - 1)
        read = min(room, len(source)) + len(frame.before) + 1
        fits = (
            target is None or read + len(target) + 1 <= frame.context
        )  # without its end nothing good is learned of it
        return continued_pair(frame, source, target if fits else None, room)

    @property
    def form(self) -> Constraint:
        """The schema's."""
        return self.constraint

    def said(self, tokenizer: Tokenizer, hypothesis: Hypothesis) -> Said:
        """A record as it is written; one that was cut off is closed."""
        text = tokenizer.decode(hypothesis.ids)
        text = text if hypothesis.ended else self.constraint.completed(text.rstrip("�"))
        return Said(text, float(sum(hypothesis.log_probabilities)), len(hypothesis.ids))

    def answer(self, example: Pair, outputs: Sequence[Said]) -> Answer:
        """The record, and the mean probability of its tokens."""
        output = outputs[0]
        record = json.loads(output.text, parse_float=finite)
        return {"record": record, "confidence": float(np.exp(output.log_chance / max(1, output.tokens)))}

    def measures(self, examples: Sequence[Pair], answers: Sequence[Answer]) -> dict[str, Measure]:
        """F1 of all fields together, and the share of records that are right as a whole."""
        gold, said = _gold(examples), [answer["record"] for answer in answers]
        exact = np.array([[same(*each), 1] for each in zip(gold, said, strict=True)], dtype=np.float64).reshape(-1, 2)
        return {self.score: Measure(field_counts(gold, said), f1), "exact match": Measure(exact, ratio)}

    def details(self, examples: Sequence[Pair], answers: Sequence[Answer]) -> dict[str, Any]:
        """Precision, recall and F1 of each field."""
        return {"labels": by_label(scores_by_path(_gold(examples), [answer["record"] for answer in answers]))}

    def mistakes(self, examples: Sequence[Pair], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Text, record, and what was written."""
        gold, said = _gold(examples), [answer["record"] for answer in answers]
        scores = f1(field_counts(gold, said))
        return [
            {
                "place": example.place,
                "text": example.source,
                "gold": compact(right),
                "predicted": compact(record),
                "right": same(right, record),
                "score": 1.0 if np.isnan(score) else float(score),
                "confidence": answer.get("confidence"),
            }
            for example, answer, right, record, score in zip(examples, answers, gold, said, scores, strict=True)
        ]

    def yardstick(
        self, train: Sequence[Pair], parts: Sequence[Sequence[Pair]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """Known values found in the text, or the record of the most similar text: what a part of the training part is better met with."""
        order = np.random.default_rng(seed).permutation(len(train))
        judged = [train[number] for number in order[: min(MOST_JUDGED, int(JUDGED * len(train)))]]
        learned = [train[number] for number in order[len(judged) :]]
        ways = (KnownValues, MostSimilar)
        met = (
            [self.measures(judged, _told(way, learned, judged))[self.score].value for way in ways] if judged else [1, 0]
        )
        way = ways[int(np.nan_to_num(met).argmax())]
        return way.name, [_told(way, train, part) for part in parts]


def _gold(examples: Sequence[Pair]) -> list[Any]:
    return [json.loads(example.targets[0]) for example in examples]


def _told(way: type[KnownValues] | type[MostSimilar], train: Sequence[Pair], asked: Sequence[Pair]) -> list[Answer]:
    known = way([example.source for example in train], _gold(train))
    return [{"record": known.record(example.source)} for example in asked]
