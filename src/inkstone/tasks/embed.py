"""Sentence vectors: texts that mean the same have nearly the same vector.

    v(text) = mean of the body's states, of length one;    similarity = v · w

Learned from pairs (u, v⁺), with or without a text that does not belong to them, by InfoNCE (van den Oord et al. 2018): each
text must find its own among those of the whole batch, in both directions,

    loss = −½ log softmax(u · V / τ)[own] − ½ log softmax(v⁺ · U / τ)[own]

from pairs with a score by the squared error of the cosine (Reimers and Gurevych 2019), and from lines alone by InfoNCE between
two readings of the same line that differ in what dropout leaves out (SimCSE, Gao et al. 2021). Rows of the batch that hold the
same text are no negatives of each other.

Scored by Spearman's correlation, where pairs have scores; else by how well each text finds its own among all of the part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.intervals import ratio, with_ones
from inkstone.models.headed import Headed, HeadSettings, Pooling
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.framing import Frame
from inkstone.tasks.related_texts import Columns, Related, read_related
from inkstone.tasks.retrieval_places import own_places, places_by_words, rank_correlation, rank_statistics, words_alike
from inkstone.tasks.task_settings import from_settings
from inkstone.tasks.understanding import Understanding
from inkstone.text.text_column import as_text
from inkstone.tokens.example_batches import Encoded, ExampleBatch

DIGITS = 6  # of the numbers of a vector that are told


@dataclass
class Embed:
    """The task."""

    text_column: str | None = None
    second_column: str | None = None
    third_column: str | None = None  # of the text that does not belong to the first
    label_column: str | None = None  # of the score
    pooling: Pooling = "mean"
    dense: bool = False
    dropout: float = 0.1  # of the vectors, where lines alone are learned from
    temperature: float = 0.05  # τ
    form: str = field(default="")  # of the training part: one of `related_texts.FORMS`
    scored_form: str = field(default="")  # of dev
    lowest: float = field(default=0.0)  # of the scores
    highest: float = field(default=1.0)

    name: ClassVar[str] = "embed"
    body: ClassVar[str] = "encoder"
    body_settings: ClassVar[Mapping[str, Any]] = {}
    labels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        """Refuse settings that cannot hold."""
        if self.temperature <= 0:
            raise RecipeError(f"task.temperature = {self.temperature}, but must be above 0")

    @property
    def score(self) -> str:
        """Spearman's correlation where dev has scores, else nDCG of the text that is to be found."""
        return "Spearman" if self.scored_form == "scored" else "nDCG@10"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Embed":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Related]:
        """The rows of tables, JSON and lines of text."""
        columns = Columns(self.text_column, self.second_column, self.third_column, self.label_column)
        form, found = read_related(sources, columns, understanding)
        if understanding.part in ("train", "dev"):
            self.scored_form = form
        understanding.notices.append(FORM_WORDS[form])
        understanding.look_at([text for row in found for text in row.texts])
        understanding.close(len(found))
        return found

    def asked(self, inputs: Sequence[Any]) -> list[Related]:
        """Texts, lists of texts, or records with the columns of the training data."""
        return [self._asked(given, f"input {number}") for number, given in enumerate(inputs, 1)]

    def learn(self, examples: Sequence[Related]) -> None:
        """The form, and the range of the scores. Raises TextError where all scores are the same."""
        first = examples[0]
        self.form = (
            "scored" if first.score is not None else "line" if first.alone else ("pair", "triple")[len(first.texts) - 2]
        )
        if self.form == "scored":
            scores = [example.score or 0.0 for example in examples]
            self.lowest, self.highest = min(scores), max(scores)
            if self.lowest == self.highest:
                raise TextError(f"every pair of the training part has the score {self.lowest:g}: nothing to learn")
        elif len(examples) < 2:
            raise TextError("there must be two rows at least, so that a text can be told from another")

    def head(self) -> HeadSettings:
        """The pooled states."""
        return HeadSettings("vector", pooling=self.pooling, dense=self.dense, dropout=self.dropout)

    def texts(self, examples: Sequence[Related]) -> list[str]:
        """Each text once."""
        return list(dict.fromkeys(text for example in examples for text in example.texts))

    def encode(self, examples: Sequence[Related], frame: Frame) -> list[list[Encoded]]:
        """One input each: its texts one after another, each in the frame of a single one, and where each begins. With
        `frame.split`, where a text does not fit, an input for each window of each text.

        The target is the score, or the number of each text, so that the same one can be told where it stands twice.
        """
        numbers: dict[str, int] = {}
        for example in examples:
            for text in example.encoded_texts:
                numbers.setdefault(text, len(numbers))
        tokens = frame.tokenizer.encode_batch(list(numbers))
        framed = [frame.single(ids)[0] for ids in tokens]
        encoded = []
        for example in examples:
            own = [numbers[text] for text in example.encoded_texts]
            rows = [framed[number] for number in own]
            starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
            target = np.array(own) if example.score is None else np.array(example.score, dtype=np.float32)
            cut = any(frame.cuts(tokens[number]) for number in own)
            if cut and frame.split:
                encoded.append(
                    [
                        Encoded(row, units=np.zeros(1, dtype=np.int64), target=target, weight=float(new), part=part)
                        for part, number in enumerate(own)
                        for row, new in frame.windows(tokens[number])
                    ]
                )
                continue
            encoded.append([Encoded(np.concatenate(rows), units=starts, target=target, cut=cut)])
        return encoded

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of finding the own text, or the mean squared error of the similarity."""
        assert batch.units is not None and batch.target is not None
        if self.form == "line":
            lines, _ = apart(batch, 1)
            first, second = (
                F.normalize(F.dropout(model(lines), self.dropout, model.training), dim=-1) for _ in range(2)
            )
            return contrast(first, second, None, batch.target[:, 0], batch.target[:, :1], self.temperature)
        texts, _ = apart(batch, batch.units.shape[1])
        vectors = model(texts).unflatten(0, (len(batch.ids), -1))
        if self.form == "scored":
            wanted = (batch.target - self.lowest) / (self.highest - self.lowest)
            return F.mse_loss((vectors[:, 0] * vectors[:, 1]).sum(-1), wanted)
        unlike = vectors[:, 2] if self.form == "triple" else None
        return contrast(vectors[:, 0], vectors[:, 1], unlike, batch.target[:, 0], batch.target[:, 1:], self.temperature)

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[np.ndarray]:
        """The vectors of the texts of each row."""
        assert batch.units is not None
        texts, rows = apart(batch, batch.units.shape[1])
        vectors = model(texts).float().cpu().numpy()
        return np.split(vectors, np.cumsum(np.bincount(rows.cpu().numpy(), minlength=len(batch.ids)))[:-1])

    def joined(self, windows: Sequence[Encoded], outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The vector of each text from those of its windows: their mean, weighted by new tokens, brought to length one."""
        texts = []
        for part in dict.fromkeys(window.part for window in windows):
            own = [(w.weight, v[0]) for w, v in zip(windows, outputs, strict=True) if w.part == part]
            mean = np.average([vector for _, vector in own], axis=0, weights=[max(weight, 1) for weight, _ in own])
            texts.append((mean / max(np.linalg.norm(mean), 1e-12)).astype(np.float32))
        return [np.stack(texts)]

    def answer(self, example: Related, outputs: Sequence[np.ndarray]) -> Answer:
        """The vector; of several texts their vectors, and how alike the first two are."""
        (vectors,) = outputs
        told = [[round(float(x), DIGITS) for x in vector] for vector in vectors]
        if len(example.texts) == 1:
            return {"vector": told[0]} | ({"vectors": told} if example.alone else {})
        return {"similarity": float(vectors[0] @ vectors[1]), "vectors": told}

    def measures(self, examples: Sequence[Related], answers: Sequence[Answer]) -> dict[str, Measure]:
        """Spearman's correlation; or the shares of texts whose own comes first and among ten, and nDCG among ten."""
        if examples[0].score is not None:
            scores = np.array([example.score for example in examples])
            given = np.array([answer["similarity"] for answer in answers])
            return {"Spearman": Measure(rank_statistics(scores, given), rank_correlation)}
        places = own_places(examples, answers)
        return {
            "recall@1": Measure(with_ones(places == 1), ratio),
            "recall@10": Measure(with_ones(places <= 10), ratio),
            "nDCG@10": Measure(with_ones(np.where(places <= 10, 1 / np.log2(1 + places), 0)), ratio),
        }

    def mistakes(self, examples: Sequence[Related], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """The texts, and the place at which the own one was found; or their score and their similarity."""
        if examples[0].score is not None:
            span = self.highest - self.lowest
            return [
                {
                    "place": example.place,
                    "text": example.text,
                    "gold": f"{example.score:g}",
                    "predicted": f"{answer['similarity'] * span + self.lowest:.3g}",
                    "score": max(0.0, 1 - abs(answer["similarity"] - ((example.score or 0.0) - self.lowest) / span)),
                    "right": False,
                }
                for example, answer in zip(examples, answers, strict=True)
            ]
        return [
            {
                "place": example.place,
                "text": example.asked_and_wanted[0],
                "gold": example.asked_and_wanted[1],
                "predicted": f"place {place}",
                "score": 1 / place,
                "right": place == 1,
            }
            for example, place in zip(examples, own_places(examples, answers).tolist(), strict=True)
        ]

    def yardstick(self, train: Sequence[Related], parts: Sequence[Sequence[Related]], seed: int) -> Any:
        """What the words alone tell: BM25 finds the own text, or the cosine of TF–IDF says how alike two are."""
        return "words alone", [
            words_alike(train, part) if part[0].score is not None else places_by_words(part) for part in parts
        ]

    def _asked(self, given: Any, place: str) -> Related:
        if isinstance(given, str):
            return Related(place, (given,))
        if isinstance(given, dict):
            wanted = Columns(self.text_column, self.second_column, self.third_column).found(
                {k: [v] for k, v in given.items()}
            )
            given = [as_text(given[name]) or "" for name in (wanted.first, wanted.second, wanted.third) if name]
        if isinstance(given, list | tuple) and given:
            return Related(place, tuple(map(str, given)))
        raise TextError(f"{place}: {given!r:.60} is no text, list of texts, or record")


FORM_WORDS = {
    "line": "texts by themselves: two readings of each are to be alike, and in figures its first half must find its second",
    "pair": "pairs of texts that belong together",
    "triple": "triples: a text, one that belongs to it, and one that does not",
    "scored": "pairs of texts with a score of how alike they are",
}


def apart(batch: ExampleBatch, most: int) -> tuple[ExampleBatch, Int[Tensor, " n"]]:
    """Each text of a batch, the first `most` of each row, as a row of its own; and the row that each came from."""
    units, unit_valid = batch.units, batch.unit_valid
    assert units is not None and unit_valid is not None
    ends = torch.cat([units[:, 1:], units.new_zeros(len(units), 1)], dim=1)
    last = unit_valid & ~F.pad(unit_valid[:, 1:], (0, 1))
    ends = torch.where(last, batch.valid.sum(1, keepdim=True), ends)
    row, place = unit_valid[:, :most].nonzero(as_tuple=True)
    starts = units[row, place]
    lengths = ends[row, place] - starts
    at = torch.arange(int(lengths.max()), device=units.device)
    valid = at < lengths[:, None]
    ids = batch.ids[row].gather(1, (starts[:, None] + at).clamp(max=batch.ids.shape[1] - 1)) * valid
    return ExampleBatch(ids, valid, None, None, None, None, batch.weight[row]), row


def contrast(
    asked: Float[Tensor, "b width"],
    wanted: Float[Tensor, "b width"],
    unlike: Float[Tensor, "b width"] | None,
    asked_numbers: Int[Tensor, " b"],
    wanted_numbers: Int[Tensor, "b n"],
    temperature: float,
) -> Float[Tensor, ""]:
    """InfoNCE in both directions.

    Row i's own text is wanted[i]; all others of the batch, and all of `unlike`, are not. The numbers say which texts are the
    same (of `wanted_numbers` the first column those of `wanted`, the second those of `unlike`): what is the same as one's own
    is no negative, nor is what belongs to the same text asked.
    """
    own = wanted_numbers[:, 0]
    aside = ~torch.eye(len(own), dtype=torch.bool, device=own.device)
    same = (own[:, None] == own) | (asked_numbers[:, None] == asked_numbers)
    similarities = asked.float() @ wanted.float().T / temperature
    similarities = similarities.masked_fill(same & aside, -torch.inf)
    rows, place = similarities, torch.arange(len(own), device=own.device)
    if unlike is not None:
        others = asked.float() @ unlike.float().T / temperature
        others = others.masked_fill(wanted_numbers[:, 1] == own[:, None], -torch.inf)
        rows = torch.cat([similarities, others], dim=1)
    return (F.cross_entropy(rows, place) + F.cross_entropy(similarities.T, place)) / 2
