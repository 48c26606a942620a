"""Classification: one label, or any number of labels, for a text or a pair of texts.

    p(label | text) = softmax(scores / T)[label]      one label
    p(label | text) = σ(scores[label])                several labels, each given where it is at least ½

The loss is −log p of the right label at T = 1, or the sum of the binary cross-entropies of all labels. T, the temperature, is
fitted on dev once the weights are found, so that a confidence of 90 % is right nine times in ten (Guo et al. 2017).

With `blend` a classifier by counts is asked, too (`counts_beside.py`), and its share in the answer is fitted on dev with T.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import TextError
from inkstone.evaluation.calibration import believable_temperature, tempered
from inkstone.evaluation.opinion_pool import fit_share, fit_share_of_several, pooled
from inkstone.models.headed import Headed, HeadSettings, Pooling
from inkstone.models.linear_classifier import Labels, LinearClassifier
from inkstone.tasks import counts_beside
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.classify_scores import label_details, label_measures, label_mistakes
from inkstone.tasks.columns import FIRST_NAMES, SECOND_NAMES, by_name, label_column, named, refuse_other_kind
from inkstone.tasks.framing import Frame
from inkstone.tasks.labelled import Labelled
from inkstone.tasks.task_settings import from_settings, with_tuples
from inkstone.tasks.understanding import Understanding
from inkstone.text.augmentation import Neighbours, variants
from inkstone.text.records import Record, read_records
from inkstone.text.tagged_words import again
from inkstone.text.text_column import as_text, choose
from inkstone.tokens.example_batches import Encoded, ExampleBatch

MANY_LABELS = (10, 1 / 3)  # so many, and so large a share of the texts, that something must be wrong
SAMPLE = 200  # records by which columns are told
SEPARATORS = ("|", ";", ",")  # between several labels in one cell


@dataclass
class Classify:
    """The task. Columns that are not named are found by their names and contents."""

    text_column: str | None = None
    second_column: str | None = None  # of the second text of a pair
    label_column: str | None = None
    group_column: str | None = None  # rows of one group stay on one side of every split
    several: bool = False  # whether a text may have any number of labels
    pooling: Pooling | None = None  # none: by the body that is tuned (`training/head_choice.py`), else the mean
    dense: bool | None = None  # a layer with tanh in the head; none: as `pooling`
    dropout: float = 0.1
    class_weights: Literal["none", "balanced"] = "none"  # balanced: rare labels count more, as much as they are rarer
    augment: int = 0  # altered copies of each training example
    blend: bool = False  # whether a classifier by counts is asked as well
    labels: tuple[str, ...] = field(default=())
    weights: tuple[float, ...] = field(default=())  # of the labels in the loss
    temperature: float = 1.0  # of the probabilities
    counts_share: float = 0.0  # of the classifier by counts in the answer
    own_temperature: float | None = None  # of the model asked alone, as in an export; none: not fitted
    pairs: bool | None = None  # whether examples are pairs of texts; none: not known, as of checkpoints of others

    name: ClassVar[str] = "classify"
    body: ClassVar[str] = "encoder"
    body_settings: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        self._voice: LinearClassifier | None = None  # the classifier by counts

    @property
    def score(self) -> str:
        """Accuracy; of several labels micro-F1."""
        return "micro-F1" if self.several else "accuracy"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Classify":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, with_tuples(settings))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Labelled]:
        """The labelled texts of csv, tsv and JSON files.

        Raises TextError where a part has pairs of texts and the training part, which is read first, has single ones, or the
        other way round.
        """
        records = read_records(sources, understanding.reading)
        head = list(islice(records, SAMPLE))
        try:
            text, second, label = self._columns(head)
            if understanding.part == "train":
                self.pairs = second is not None
            refuse_other_kind(self.pairs, text, second, _names(head))
        except TextError as error:
            raise TextError(f"{', '.join(sources)}: {error}") from None
        understanding.columns = {"text": text, "label": label} | ({"second text": second} if second else {})
        found: list[Labelled] = []
        labels_of: dict[str, tuple[str, ...]] = {}
        ids: set[str] = set()
        for record in chain(head, records):
            example = self._example(record, text, second, label, understanding)
            if example is None:
                continue
            if again(self._id_of(record, understanding), ids):
                understanding.mend(record.place, "the id stands before, too; both are kept")
            before = labels_of.setdefault(example.text, example.labels)
            if before != example.labels:
                understanding.mend(record.place, "the same text has other labels elsewhere; both are kept")
            found.append(example)
        understanding.labels = Counter(name for example in found for name in example.labels)
        many = len(understanding.labels)
        if understanding.part == "train" and MANY_LABELS[0] <= many >= MANY_LABELS[1] * len(found):
            understanding.notices.append(
                f"{many:,} labels for {len(found):,} texts are too many to learn; if {label!r} is not what is meant, name "
                "another column with --set task.label_column=NAME"
            )
        understanding.look_at([example.text for example in found])
        understanding.close(len(found))
        return found

    def asked(self, inputs: Sequence[Any]) -> list[Labelled]:
        """Texts, pairs (lists of two texts), or records with the columns of the training data.

        Raises TextError for an input that is none of these, for one text where the model was tuned on pairs, and for two where
        it was tuned on single ones.
        """
        return [self._asked(given, number) for number, given in enumerate(inputs, 1)]

    def learn(self, examples: Sequence[Labelled]) -> None:
        """The labels, sorted, and their weights. Raises TextError where there is nothing to tell apart."""
        counts = Counter(name for example in examples for name in example.labels)
        self.labels = tuple(sorted(counts))
        if len(self.labels) < (1 if self.several else 2):
            raise TextError(
                f"the training part has {len(self.labels)} label ({', '.join(self.labels)}); "
                "there must be two at least to tell apart"
            )
        rarity = [len(examples) / (len(counts) * counts[name]) for name in self.labels]
        self.pairs = all(example.second is not None for example in examples)
        self.weights = tuple(rarity) if self.class_weights == "balanced" else (1.0,) * len(rarity)

    def varied(
        self, examples: Sequence[Labelled], generator: np.random.Generator, neighbours: Neighbours | None
    ) -> list[Labelled]:
        """Copies with words deleted, swapped, or replaced by neighbours (`text/augmentation.py`); of a pair the first text."""
        return [
            replace(example, first=text)
            for example in examples
            for text in variants(example.first, self.augment, generator, neighbours=neighbours)
        ]

    def head(self) -> HeadSettings:
        """Scores of the labels from the pooled states."""
        return HeadSettings("class", self.labels, self.pooling or "mean", bool(self.dense), self.dropout)

    def texts(self, examples: Sequence[Labelled]) -> list[str]:
        """All of them."""
        return [example.text for example in examples]

    def encode(self, examples: Sequence[Labelled], frame: Frame) -> list[list[Encoded]]:
        """One input each, cut to the context; or windows of a text that does not fit, with `frame.split`. Pairs are cut."""
        first = frame.tokenizer.encode_batch([example.first for example in examples])
        second = frame.tokenizer.encode_batch([example.second or "" for example in examples])
        place = {name: number for number, name in enumerate(self.labels)}
        encoded = []
        for example, a, b in zip(examples, first, second, strict=True):
            ids, types = frame.single(a) if example.second is None else frame.pair(a, b)
            known = [place[name] for name in example.labels if name in place]
            target = None
            if self.several:
                target = np.zeros(len(self.labels), dtype=np.float32)
                target[known] = 1
            elif known:
                target = np.array(known[0])
            cut = frame.cuts(a, None if example.second is None else b)
            if cut and frame.split and example.second is None:
                encoded.append([Encoded(row, target=target, weight=float(new)) for row, new in frame.windows(a)])
                continue
            encoded.append([Encoded(ids, types, target=target, cut=cut)])
        return encoded

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of an example."""
        scores, target = model(batch), batch.target
        assert target is not None
        weight = torch.tensor(self.weights, device=scores.device)
        if self.several:
            each = F.binary_cross_entropy_with_logits(scores, target, weight, reduction="none").sum(1)
            return (each * batch.weight).sum() / batch.weight.sum()
        each = F.cross_entropy(scores, target, reduction="none")
        counted = batch.weight * weight[target]
        return (each * counted).sum() / counted.sum()

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[np.ndarray]:
        """The score of each label."""
        return list(model(batch).float().cpu().numpy())

    def joined(self, windows: Sequence[Encoded], outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scores of a text from those of its windows i, of wᵢ new tokens each:  Σ wᵢ log pᵢ / Σ wᵢ, or of log-odds where labels
        are several.
        """
        scores = np.stack(outputs).astype(np.float64)
        if not self.several:
            scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return [np.average(scores, axis=0, weights=[window.weight for window in windows]).astype(np.float32)]

    def yardstick(
        self, train: Sequence[Labelled], parts: Sequence[Sequence[Labelled]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """Logistic regression on TF–IDF, with the C that does best in an inner split of the training part."""
        linear = counts_beside.by_words(*self._counted(train), seed)
        name = "TF–IDF + logistic regression"
        return name, [[self.told(p) for p in linear.predict_proba([_for_counts(e) for e in part])] for part in parts]

    def learn_beside(self, examples: Sequence[Labelled], folder: Path) -> None:
        """Learn the classifier by counts, if there is to be one, and keep it in the run's folder."""
        if self.blend:
            counts_beside.second_voice(*self._counted(examples), folder)

    def open_beside(self, folder: Path) -> None:
        """Open the classifier by counts that the run's folder holds. Raises RunError and CheckpointError where it cannot be."""
        if self.blend:
            self._voice = LinearClassifier.load(folder / counts_beside.FOLDER)

    def beside(self, examples: Sequence[Labelled], outputs: list[list[Any]]) -> list[list[Any]]:
        """The outputs of each example, and after them what the classifier by counts says to it, once that was opened."""
        if self._voice is None:
            return outputs
        told = counts_beside.logits_of(self._voice, [_for_counts(example) for example in examples])
        return [[*of_one, own] for of_one, own in zip(outputs, told, strict=True)]

    def settle(self, examples: Sequence[Labelled], outputs: Sequence[Sequence[np.ndarray]]) -> None:
        """Fit the share of the classifier by counts, if there is one, and the temperature with it and without."""
        place = {name: number for number, name in enumerate(self.labels)}
        known = [(e, of_one) for e, of_one in zip(examples, outputs, strict=True) if self.several or self._knows(e)]
        if not known:
            return
        scores, *voices = (np.stack(each) for each in zip(*(of_one for _, of_one in known), strict=True))
        if self.several:
            table = np.array([[name in e.labels for name in self.labels] for e, _ in known], dtype=np.float64)
            self.counts_share = fit_share_of_several(scores, voices[0], table) if voices else 0.0
            return
        gold = np.array([place[e.labels[0]] for e, _ in known])
        self.counts_share = fit_share(scores, voices[0], gold) if voices else 0.0
        self.own_temperature = self.temperature = believable_temperature(scores, gold)
        if voices:
            self.temperature = believable_temperature(self._pooled([scores, *voices]), gold)

    def _pooled(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        return outputs[0] if len(outputs) == 1 else pooled(outputs[0], outputs[1], self.counts_share)

    def answer(self, example: Labelled, outputs: Sequence[np.ndarray]) -> Answer:
        """The label, or labels, and the probability of each."""
        scores = self._pooled(outputs)
        return self.told(1 / (1 + np.exp(-scores)) if self.several else tempered(scores[None], self.temperature)[0])

    def told(self, probabilities: Float[np.ndarray, " labels"]) -> Answer:
        """The answer that these probabilities of the labels come to."""
        chances = {name: float(p) for name, p in zip(self.labels, probabilities, strict=True)}
        if self.several:
            return {"labels": [name for name, p in chances.items() if p >= 0.5], "probabilities": chances}
        return {"label": max(chances, key=lambda name: chances[name]), "probabilities": chances}

    def measures(self, examples: Sequence[Labelled], answers: Sequence[Answer]) -> dict[str, Measure]:
        """Accuracy and macro-F1; of several labels micro- and macro-F1 and the share of texts with exactly the right ones."""
        return label_measures(examples, answers, self.labels, self.several)

    def details(self, examples: Sequence[Labelled], answers: Sequence[Answer]) -> dict[str, Any]:
        """Precision, recall and F1 of each label, the confusion of one-label answers, and how far confidence can be believed."""
        found = label_details(examples, answers, self.several)
        return found if self.several else found | {"temperature": self.temperature, "counts_share": self.counts_share}

    def mistakes(self, examples: Sequence[Labelled], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Text, labels, and how sure the model was of what it said."""
        return label_mistakes(examples, answers)

    def _counted(self, examples: Sequence[Labelled]) -> tuple[list[str | tuple[str, str]], Labels]:
        labels = [example.labels if self.several else example.labels[0] for example in examples]
        return [_for_counts(example) for example in examples], labels

    def _knows(self, example: Labelled) -> bool:
        return bool(example.labels) and example.labels[0] in self.labels

    def _columns(self, head: Sequence[Record]) -> tuple[str, str | None, str]:
        names = _names(head)
        if len(names) < 2:
            raise TextError(
                "one column only, as in plain text; examples are a text and its label, in two columns of csv, tsv or JSON lines"
            )
        samples = {name: [record.values.get(name) for record in head] for name in names}
        label = label_column(samples, self.label_column)
        if self.group_column is not None:
            named(samples, self.group_column, "task.group_column")
        rest = {name: values for name, values in samples.items() if name not in (label, self.group_column)}
        second = self.second_column and named(samples, self.second_column, "task.second_column")
        if second is None and self.text_column is None and by_name(rest, FIRST_NAMES):
            second = by_name(rest, SECOND_NAMES)
        rest = {name: values for name, values in rest.items() if name != second}
        if self.text_column is not None:
            return named(samples, self.text_column, "task.text_column"), second, label
        text = (second and by_name(rest, FIRST_NAMES)) or choose(rest, said_by="--set task.text_column=NAME")
        return text, second, label

    def _example(
        self, record: Record, text: str, second: str | None, label: str, understanding: Understanding
    ) -> Labelled | None:
        first = (as_text(record.values.get(text)) or "").strip()
        other = (as_text(record.values.get(second)) or "").strip() if second else None
        if not first or other == "":
            understanding.refuse(record.place, "the text is empty")
            return None
        names = self._labels(record.values.get(label))
        if not names and not self.several:
            understanding.refuse(record.place, "the label is missing")
            return None
        if len(names) > 1 and not self.several:
            understanding.refuse(record.place, "several labels; --set task.several=true if that is meant")
            return None
        group = record.values.get(self.group_column) if self.group_column else None
        return Labelled(record.place, first, other, names, None if group is None else str(group))

    def _labels(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, list):
            parts = [str(part) for part in value]
        else:
            text = "" if value is None else str(value)
            separator = next((mark for mark in SEPARATORS if self.several and mark in text), None)
            parts = text.split(separator) if separator else [text]
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def _id_of(self, record: Record, understanding: Understanding) -> Any:
        """What the column `id` says, unless it is used for something else."""
        used = {*understanding.columns.values(), self.group_column}
        return next((v for name, v in record.values.items() if name.strip().lower() == "id" and name not in used), None)

    def _asked(self, given: Any, number: int) -> Labelled:
        place = f"input {number}"
        first, second = self._texts_of(given, place)
        if self.pairs and not second:
            raise TextError(
                f"{place}: one text, but the model was tuned on pairs of texts, and two are needed: a record with the two "
                'columns of its training data (--file), or in Python predict(RUN, [["first text", "second text"]])'
            )
        if self.pairs is False and second:
            raise TextError(
                f"{place}: two texts, but the model was tuned on single texts and has learned nothing of how two belong together; "
                "ask about each by itself, or tune a model on pairs: a file with two columns of texts and one of labels"
            )
        return Labelled(place, first, None if self.pairs is False else second)

    def _texts_of(self, given: Any, place: str) -> tuple[str, str | None]:
        if isinstance(given, str):
            return given, None
        if isinstance(given, list | tuple) and len(given) == 2:
            return str(given[0]), str(given[1])
        if isinstance(given, dict):
            rest = {name: [value] for name, value in given.items() if name != self.label_column}
            first = by_name(rest, FIRST_NAMES)
            second = self.second_column
            if second is None and self.text_column is None and first:
                second = by_name(rest, SECOND_NAMES)
            if self.text_column in given:
                text = self.text_column
            else:
                text = first if first and (second or self.pairs) else choose(rest)
            return as_text(given[text]) or "", as_text(given.get(second)) if second else None
        raise TextError(f"{place}: {given!r} is no text, pair of texts, or record")


def _names(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.values))


def _for_counts(example: Labelled) -> str | tuple[str, str]:
    return example.first if example.second is None else (example.first, example.second)
