"""Tagging: a label for each word. Parts of speech, names, chunks; and the words of Chinese, as tags of characters.

    p(tags | words) = Πᵢ softmax(scoresᵢ)[tagᵢ]             each word by itself
    p(tags | words) ∝ exp(Σᵢ scoresᵢ[tagᵢ] + moves)         a CRF over the sentence (`layers/crf.py`)

The loss is −log p of the right tags, a word in the mean. Tags of a scheme are found under its constraints (`layers/tag_moves.py`),
so that no broken span is ever said. A sentence of several windows is decoded as one.

With `blend` a CRF over feature templates is asked, too (`features_beside.py`), and its share in the answer is chosen on dev.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.tag_schemes import spans_of
from inkstone.layers.crf import Transitions
from inkstone.layers.tag_moves import best_chain, free_chain, tag_moves
from inkstone.models.crf_tagger import CRFTagger, train_tagger
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.hmm_tagger import train_hmm_tagger
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.features_beside import FOLDER, Features
from inkstone.tasks.framing import Frame
from inkstone.tasks.tag_readings import SHARES, Reading, best_share, joined, pooled_readings
from inkstone.tasks.tag_scores import tag_details, tag_measures, tag_mistakes
from inkstone.tasks.tagged import (
    AUTO,
    NONE,
    Tagged,
    chosen_scheme,
    cut_example,
    example_of,
    segmented_example,
    tagged_examples,
    words_in_columns,
    words_of,
)
from inkstone.tasks.task_settings import from_settings, with_tuples
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.word_windows import encode_words, windows
from inkstone.text.dictionary import dictionary_positions, dictionary_tags
from inkstone.text.tag_tables import read_tagged
from inkstone.text.tagged_words import TaggedSentence
from inkstone.text.word_cutting import Cutting, Units
from inkstone.tokens.example_batches import NOT_ASKED, Encoded, ExampleBatch

MOST_FOR_CRF = 80  # tags of the yardstick: its work grows with their square
SEGMENTS = ("B", "E", "M", "S")
NOTHING = Reading(torch.zeros(0, 0), [], 0.0, None)  # to a text without words
WORDS, TEXTS = ("tokens", "words", "forms"), ("text", "sentence", "content")  # of records that are asked about


@dataclass
class Tag:
    """The task. What the file is, is found out; the scheme and what stands below it are those of the training part."""

    tag_column: str | int | None = None  # of CoNLL-U by name (upos), of columns by number, of JSON records by name
    text_column: str | int | None = None  # of the words
    segment: bool = False  # whether words are found in characters
    crf: bool | None = None  # none: where tags form a scheme
    dense: bool = False
    dropout: float = 0.33  # of the head
    dictionary: bool = True  # whether Chinese is marked with what rjieba's dictionary says of it
    blend: bool = False  # whether a CRF over feature templates is asked as well
    scheme: str = AUTO
    settled: bool = False  # whether data were read, and with them the scheme and the cutting
    units: Units = "words"  # see `Cutting`
    clitics: bool = False
    handles: bool = False
    labels: tuple[str, ...] = field(default=())
    features_share: float | None = None  # of that CRF in the answer; none: not chosen yet

    name: ClassVar[str] = "tag"
    body: ClassVar[str] = "word_reader"
    body_settings: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        self._crf: CRFTagger | None = None  # over feature templates, once it was learned
        self._features: Features | None = None  # the same, opened to be asked

    @property
    def score(self) -> str:
        """Word-F1 of segmentation, F1 of the spans of a scheme, else accuracy."""
        return "word F1" if self.segment else "accuracy" if self.scheme == NONE else "span F1"

    @property
    def cutting(self) -> Cutting:
        """How running text becomes units."""
        return Cutting("characters" if self.segment else self.units, self.clitics, self.handles)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Tag":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, with_tuples(settings))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Tagged]:
        """The sentences of CoNLL-U, columns, JSON lines or segmented text. The first part that is read says the scheme."""
        sentences = list(
            read_tagged(
                sources,
                understanding,
                tag_column=self.tag_column,
                word_column=self.text_column,
                segmented=self.segment,
            )
        )
        if self.segment:
            found = [segmented_example(sentence) for sentence in sentences]
        else:
            if sentences and not self.settled:
                self._learn_forms(sentences)
            found = list(tagged_examples(sentences, self.scheme, self.cutting, understanding))
        understanding.labels = Counter(tag for example in found for tag in example.tags)
        understanding.look_at([example.text for example in found])
        if found and not self.segment and self.scheme not in (NONE, "BIO"):
            understanding.notices.append(f"the tags are of the scheme {self.scheme}; they are learned and told as BIO")
        understanding.close(len(found))
        return found

    def _learn_forms(self, sentences: Sequence[TaggedSentence]) -> None:
        """The scheme of the tags, and how text is cut into units like those of the data."""
        self.scheme, self.settled = chosen_scheme(self.scheme, sentences), True
        cutting = Cutting.of([sentence.words for sentence in sentences])
        self.units, self.clitics, self.handles = cutting.units, cutting.clitics, cutting.handles
        if any(sentence.spans is not None for sentence in sentences):
            self.units = "han"  # spans of Chinese begin and end where they like, not at the words of a dictionary

    def asked(self, inputs: Sequence[Any]) -> list[Tagged]:
        """Texts, lists of words, or records with `tokens` or `text`."""
        return [self._asked(given, f"input {number}") for number, given in enumerate(inputs, 1)]

    def _asked(self, given: Any, place: str) -> Tagged:
        text = None
        if isinstance(given, Mapping):
            text = given.get("text") if isinstance(given.get("text"), str) else None
            names = (str(self.text_column),) if self.text_column in given else (*WORDS, *TEXTS)
            given = next((given[name] for name in names if isinstance(given.get(name), str | list)), given)
        if isinstance(given, str):
            return cut_example(place, given, self.cutting)
        if isinstance(given, list | tuple) and all(isinstance(word, str) and word.strip() for word in given):
            sentence = TaggedSentence(place, list(given), text=text)
            return segmented_example(sentence) if self.segment else example_of(sentence)
        raise TextError(f"{place}: {given!r} is no text, no list of words, and no record with one of them")

    def inputs_of(self, file: str | Path) -> list[Any] | None:
        """The words of CoNLL-U and of columns, told by the name of the file; None for others.

        Raises TextError where a sentence cannot be read: each must have its answer.
        """
        return words_in_columns(file)

    def learn(self, examples: Sequence[Tagged]) -> None:
        """The tags, sorted; of a scheme both B and I of each label. Raises TextError where there is nothing to tell apart."""
        seen = {tag for example in examples for tag in example.tags}
        if self.segment:
            seen = set(SEGMENTS)
        elif self.scheme != NONE:
            seen |= {"O"} | {f"{letter}{tag[1:]}" for tag in seen if tag != "O" for letter in "BI"}
        self.labels = tuple(sorted(seen))
        if len(self.labels) < 2:
            raise TextError(
                f"the training part has {len(self.labels)} tag ({', '.join(self.labels)}); there must be two at least to tell apart"
            )
        if self.blend and len(self.labels) > MOST_FOR_CRF:
            raise RecipeError(
                f"task.blend = true, but there are {len(self.labels)} tags, and the CRF that is asked beside can have "
                f"{MOST_FOR_CRF}; leave it out"
            )

    def head(self) -> HeadSettings:
        """Scores of the tags for each word."""
        crf = self.segment or self.scheme != NONE if self.crf is None else self.crf
        return HeadSettings("token", self.labels, dense=self.dense, dropout=self.dropout, crf=crf)

    def texts(self, examples: Sequence[Tagged]) -> list[str]:
        """The texts that the words stand in."""
        return [example.text for example in examples]

    def encode(self, examples: Sequence[Tagged], frame: Frame) -> list[list[Encoded]]:
        """The windows of each sentence: the tokens of its words, and the tag of each."""
        place = {name: number for number, name in enumerate(self.labels)}
        spelled = encode_words(frame, [[e.piece(at) for at in range(len(e.words))] for e in examples])
        encoded = []
        for example, words in zip(examples, spelled, strict=True):
            marks = self._marks(example)
            inputs = []
            for window in windows(frame, words):
                tags = example.tags[window.first : window.stop]
                if window.first or window.stop < len(words):
                    tags = self._alone(tags)
                known = bool(tags) and all(tag in place for tag in tags)
                target = np.array([place[tag] for tag in tags]) if known else None
                own = None if marks is None else marks[window.first : window.stop]
                inputs.append(Encoded(window.ids, units=window.units, target=target, marks=own, cut=window.cut))
            encoded.append(inputs)
        return encoded

    def _marks(self, example: Tagged) -> np.ndarray | None:
        """What rjieba's dictionary says of Chinese: of a word what it mostly is, of a character its place in its word."""
        if not self.dictionary:
            return None
        if self.cutting.units == "words":
            return np.array(dictionary_tags(example.words))
        positions = dictionary_positions(example.text)
        return np.array(
            [positions[start] if len(w) == 1 else 0 for w, start in zip(example.words, example.starts, strict=True)]
        )

    def _alone(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        """The tags of a part of a sentence as if it were all: a span that is cut begins or ends there."""
        if self.segment:
            first, last = {"M": "B", "E": "S"}, {"B": "S", "M": "E"}
            tags = (first.get(tags[0], tags[0]), *tags[1:]) if tags else tags
            return (*tags[:-1], last.get(tags[-1], tags[-1])) if tags else tags
        if tags and self.scheme != NONE and tags[0].startswith("I-"):
            return (f"B{tags[0][1:]}", *tags[1:])
        return tags

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a word's tag."""
        scores, target = model(batch).float(), batch.target
        assert target is not None and batch.unit_valid is not None
        lengths = batch.unit_valid.sum(1)
        if model.crf is not None:
            return (model.crf(scores, lengths, target) * batch.weight).sum() / (lengths * batch.weight).sum()
        each = F.cross_entropy(scores.transpose(1, 2), target, ignore_index=NOT_ASKED, reduction="none")
        return (each * batch.weight[:, None]).sum() / (lengths * batch.weight).sum()

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Reading]:
        """The scores of the words of each row, and the best tags by themselves."""
        scores = model(batch).float().cpu()
        assert batch.unit_valid is not None
        lengths = batch.unit_valid.sum(1).cpu()
        chain = self._chain(model)
        tags, chances = best_chain(scores, chain, lengths)
        rows = zip(scores, tags.tolist(), chances.tolist(), lengths.tolist(), strict=True)
        return [Reading(own[:n], best[:n], chance, chain) for own, best, chance, n in rows]

    def _chain(self, model: Headed) -> Transitions | None:
        """What a sequence of tags scores by itself, apart from the words; None where each tag stands alone."""
        if model.crf is not None:
            t = model.crf.transitions
            return Transitions(t.start.float().cpu(), t.move.float().cpu(), t.end.float().cpu())
        moves = tag_moves(self.labels)
        return None if moves is None else free_chain(moves)

    def answer(self, example: Tagged, outputs: Sequence[Reading]) -> Answer:
        """The tags of the words, or the words of a text without any, and how sure the model is of all of it."""
        reading = joined(outputs) if outputs else NOTHING
        said = self._said(example, [self.labels[tag] for tag in reading.tags])
        return said | {
            "probability": float(np.exp(min(0.0, reading.log_chance)))
        }  # rounding may leave a little more than certainty

    def _said(self, example: Tagged, tags: list[str]) -> Answer:
        ends = [start + len(word) for start, word in zip(example.starts, example.words, strict=True)]
        if self.segment:
            found = words_of(example, tags)
            words = [example.text[begin:stop] for begin, stop, _ in found]
            return {"words": words, "offsets": [[begin, stop] for begin, stop, _ in found]}
        said: Answer = {"tokens": list(example.words), "tags": tags}
        if example.given_text:
            said["offsets"] = [[begin, stop] for begin, stop in zip(example.starts, ends, strict=True)]
        if self.scheme == NONE:
            return said
        spans = []
        for first, stop, label in spans_of(tags):
            begin, end = example.starts[first], ends[stop - 1]
            places = {"start": begin, "end": end} if example.given_text else {}
            spans.append({**places, "label": label, "text": example.text[begin:end], "tokens": [first, stop]})
        return said | {"spans": spans}

    def measures(self, examples: Sequence[Tagged], answers: Sequence[Answer]) -> dict[str, Measure]:
        """Accuracy, F1 of spans and share of tags, or F1 of words; and the share of sentences with nothing wrong."""
        return tag_measures(examples, answers, self.score)

    def details(self, examples: Sequence[Tagged], answers: Sequence[Answer]) -> dict[str, Any]:
        """Precision, recall and F1 of each label, and which tags are taken for which."""
        found = tag_details(examples, answers, self.score)
        return found if self.features_share is None else found | {"features_share": self.features_share}

    def mistakes(self, examples: Sequence[Tagged], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Sentences with the tags, spans or words in which gold and answer differ."""
        return tag_mistakes(examples, answers, self.score)

    def yardstick(
        self, train: Sequence[Tagged], parts: Sequence[Sequence[Tagged]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """A CRF over feature templates (`models/crf_tagger.py`); for very many tags a hidden Markov model."""
        many = len(self.labels) > MOST_FOR_CRF
        tagger = train_hmm_tagger(_pairs(train)) if many else self._learned_crf(train)
        answers = []
        for examples in parts:
            tagged = tagger.tag([example.words for example in examples])
            answers.append([self._said(example, tags) for example, tags in zip(examples, tagged, strict=True)])
        return "hidden Markov model" if many else "CRF over feature templates", answers

    def _learned_crf(self, train: Sequence[Tagged]) -> CRFTagger:
        self._crf = self._crf or train_tagger(_pairs(train))
        return self._crf

    def learn_beside(self, examples: Sequence[Tagged], folder: Path) -> None:
        """Keep the CRF over feature templates in the run's folder, if it is to be asked; it may be learned already."""
        if self.blend and not (folder / FOLDER).exists():
            self._learned_crf(examples).save(folder / FOLDER)

    def open_beside(self, folder: Path) -> None:
        """Open the CRF that the run's folder holds. Raises RunError and CheckpointError where it cannot be."""
        if self.blend:
            self._features = Features.load(folder, self.labels)

    def beside(self, examples: Sequence[Tagged], outputs: list[list[Reading]]) -> list[list[Reading]]:
        """What the model and the CRF say together to each sentence, once the share of the CRF is chosen."""
        if self._features is None or not self.features_share:
            return outputs
        full = [number for number, own in enumerate(outputs) if own]
        own = [joined(outputs[number]) for number in full]
        other = self._features.readings([examples[number].words for number in full])
        found = list(outputs)
        for number, reading in zip(full, pooled_readings(own, other, self.features_share), strict=True):
            found[number] = [reading]
        return found

    def settle(self, examples: Sequence[Tagged], outputs: Sequence[Sequence[Reading]]) -> None:
        """Choose the share of the CRF with which dev is tagged best."""
        if self._features is None:
            return
        known = [(example, joined(own)) for example, own in zip(examples, outputs, strict=True) if own and example.tags]
        self.features_share = 0.0
        if not known:
            return
        asked, own = zip(*known, strict=True)
        other = self._features.readings([example.words for example in asked])
        self.features_share = best_share([self._score_at(asked, own, other, float(share)) for share in SHARES])

    def _score_at(
        self, examples: Sequence[Tagged], first: Sequence[Reading], second: Sequence[Reading], share: float
    ) -> float:
        readings = pooled_readings(first, second, share)
        answers = [self.answer(example, [reading]) for example, reading in zip(examples, readings, strict=True)]
        return self.measures(examples, answers)[self.score].value


def _pairs(examples: Sequence[Tagged]) -> list[tuple[Sequence[str], Sequence[str]]]:
    return [(example.words, example.tags) for example in examples]
