"""Texts by what they mean to each other, as files hold them: to learn vectors from, of which like texts have like ones.

| form | a row |
|---|---|
| "scored" | two texts, and how alike they are |
| "pair" | two texts that belong together: a question and its passage, a sentence and its translation |
| "triple" | a text, one that belongs to it, and one that does not |
| "line" | one text |

A file of questions about paragraphs (`text/squad.py`) is one of pairs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import Any

from inkstone.errors import TextError
from inkstone.tasks.columns import FIRST_NAMES, SECOND_NAMES, by_name, named
from inkstone.tasks.understanding import Understanding
from inkstone.text.formats import EXTENSIONS
from inkstone.text.records import Record, read_records
from inkstone.text.squad import is_of_paragraphs, read_questions
from inkstone.text.text_column import NAMES, as_text

FIRST = (*FIRST_NAMES, "anchor", "query", "question", "source", "问题", "問題", *NAMES)
SECOND = (
    *SECOND_NAMES,
    "positive",
    "pos",
    "passage",
    "context",
    "answer",
    "translation",
    "target",
    "正文",
    "译文",
    "答案",
)
THIRD = ("negative", "neg", "hard_negative", "text_c", "text3", "sentence3", "sentence_c", "句子3")
SCORE = ("score", "similarity", "similarity_score", "relatedness", "label", "gold", "相似度", "分数", "得分")
SAMPLE = 200  # rows by which columns are told
FORMS = ("line", "pair", "triple", "scored")


@dataclass(frozen=True)
class Related:
    """One text, or two that are alike or have a score, or a text with one that is alike and one that is not."""

    place: str
    texts: tuple[str, ...]
    score: float | None = None
    alone: bool = False  # a text with nothing beside it: where it is scored, its first half must find its second

    @property
    def text(self) -> str:
        """All of them."""
        return "\n".join(self.texts)

    @property
    def group(self) -> str | None:
        """What stays on one side of every split: all questions of a passage."""
        return self.texts[1] if len(self.texts) > 1 else None

    @property
    def encoded_texts(self) -> tuple[str, ...]:
        """What a model reads of it: the texts; of one that stands alone its halves, too."""
        return (*self.texts, *halves(self.texts[0])) if self.alone else self.texts

    @property
    def asked_and_wanted(self) -> tuple[str, str]:
        """The text that must find the other one among those of all."""
        first, second = self.encoded_texts[-2:] if self.alone else self.texts[:2]
        return first, second


@dataclass(frozen=True)
class Columns:
    """The names of the columns that a person gave; None: look for it."""

    first: str | None = None
    second: str | None = None
    third: str | None = None
    score: str | None = None

    def found(self, samples: Mapping[str, Sequence[Any]]) -> "Columns":
        """The columns of a table: those given, those with usual names, else its columns in their order.

        Raises TextError, naming the columns, where that says nothing.
        """
        settings = ("text_column", "second_column", "third_column", "label_column")
        given = [
            None if name is None else named(samples, name, f"task.{setting}")
            for name, setting in zip((self.first, self.second, self.third, self.score), settings, strict=True)
        ]
        rest = {name: values for name, values in samples.items() if name not in given}
        found: list[str | None] = []
        for name, usual in zip(given, (FIRST, SECOND, THIRD, SCORE), strict=True):
            name = name or by_name(rest, usual)
            rest.pop(name or "", None)
            found.append(name)
        first, second, third, score = found
        if first is None and second is None:
            order = [*samples, None, None, None]
            if len(samples) == 3 and all(_number(value) is not None for value in samples[list(samples)[2]]):
                first, second, score = order[:3]
            elif len(samples) <= 3:
                first, second, third = order[:3]
            else:
                first = None
        if first is None:
            raise TextError(
                f"which columns hold the texts? There are: {', '.join(samples)}; name them with "
                "--set task.text_column=NAME, task.second_column, task.third_column, and the score's with task.label_column"
            )
        return Columns(first, second, third, score if second else None)

    @property
    def form(self) -> str:
        """One of `FORMS`."""
        if self.second is None:
            return "line"
        return "scored" if self.score else "triple" if self.third else "pair"

    def to_dict(self) -> dict[str, str]:
        """What is found where, in words."""
        roles = {"text": self.first, "second text": self.second, "unlike text": self.third, "score": self.score}
        return {role: name for role, name in roles.items() if name is not None}


def read_related(sources: Sequence[str], columns: Columns, understanding: Understanding) -> tuple[str, list[Related]]:
    """The form of files, and their rows; what is doubtful goes into `understanding`."""
    records = _rows(sources, columns, understanding)
    head = list(islice(records, SAMPLE))
    if is_of_paragraphs(head[0].values):
        return "pair", _questions(sources, understanding)
    names = dict.fromkeys(name for record in head for name in record.values)
    found = columns.found({name: [record.values.get(name) for record in head] for name in names})
    understanding.columns = found.to_dict()
    rows = []
    seen: dict[tuple[str, ...], tuple[str, float | None]] = {}
    for record in chain(head, records):
        row = _row(record, found, understanding)
        if row is None:
            continue
        place, score = seen.setdefault(row.texts, (row.place, row.score))
        if place != row.place and score == row.score:
            understanding.refuse(row.place, "the same as an earlier row")
            continue
        if place != row.place:
            understanding.mend(row.place, "the same texts have another score elsewhere; both are kept")
        rows.append(row)
    return found.form, rows


def _row(record: Record, columns: Columns, understanding: Understanding) -> Related | None:
    wanted = [name for name in (columns.first, columns.second, columns.third) if name is not None]
    if columns.form == "scored":
        wanted = wanted[:2]
    texts = tuple((as_text(record.values.get(name)) or "").strip() for name in wanted)
    if not all(texts):
        return understanding.refuse(
            record.place, "the text is empty" if len(texts) == 1 else "one of its texts is empty"
        )
    if columns.form == "line":
        return Related(record.place, texts, alone=True)
    score = None
    if columns.form == "scored":
        score = _number(record.values.get(columns.score or ""))
        if score is None:
            return understanding.refuse(
                record.place, f"a score that is no number, such as {record.values.get(columns.score or '')!r:.40}"
            )
    elif texts[0] == texts[1]:
        return understanding.refuse(record.place, "both texts are the same: nothing is to be learned from it")
    if len(texts) == 3 and texts[1] == texts[2]:
        return understanding.refuse(record.place, "the text that is like it and the one that is not are the same")
    return Related(record.place, texts, score)


def _questions(sources: Sequence[str], understanding: Understanding) -> list[Related]:
    understanding.columns = {"text": "question", "second text": "context"}
    rows = []
    for asked in read_questions(sources, understanding.reading):
        if asked.fault or not asked.question.strip() or not asked.context.strip():
            understanding.refuse(asked.place, asked.fault or "the question or its context is empty")
        elif not asked.impossible:
            rows.append(Related(asked.place, (asked.question.strip(), asked.context.strip())))
    return rows


def _rows(sources: Sequence[str], columns: Columns, understanding: Understanding) -> Iterator[Record]:
    """The records; where the first row of a table is no head but texts, it is one of the rows."""
    file, order = None, None
    known = {name.lower() for name in (*FIRST, *SECOND, *THIRD, *SCORE)} | {*vars(columns).values()}
    for record in read_records(sources, understanding.reading):
        label = record.place.rpartition(":")[0]
        if label != file:
            file, order = label, None
            if not _has_names(label) and not known & {
                *record.values,
                *(name.strip().lower() for name in record.values),
            }:
                order = {name: f"column_{number}" for number, name in enumerate(record.values, 1)}
                if list(order) != list(order.values()):
                    yield Record(f"{label}:1", {new: name for name, new in order.items()})
        yield record if order is None else Record(record.place, {order[n]: v for n, v in record.values.items()})


def _has_names(label: str) -> bool:
    """Whether the columns of a file always have names: those of JSON do."""
    return any(EXTENSIONS.get(end.removeprefix(".")) == "json" for end in PurePosixPath(label.lower()).suffixes)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def halves(text: str) -> tuple[str, str]:
    """A text cut near its middle, at a blank where there is one nearby; both are the text where it is too short.

    >>> halves("a stone for ink"), halves("端砚产于肇庆")
    (('a stone', 'for ink'), ('端砚产', '于肇庆'))
    """
    middle = len(text) // 2
    blanks = [at for at, character in enumerate(text) if character.isspace()]
    nearest = min(blanks, key=lambda at: abs(at - middle), default=middle)
    if abs(nearest - middle) <= len(text) // 4:
        middle = nearest
    first, second = text[:middle].strip(), text[middle:].strip()
    return (first, second) if first and second else (text, text)
