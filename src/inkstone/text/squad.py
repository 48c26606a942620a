"""Questions about paragraphs whose answers stand in them, as files hold them.

| form | a record |
|---|---|
| SQuAD 1.1, 2.0, CMRC 2018, DRCD | `{"data": [{"title", "paragraphs": [{"context", "qas": [...]}]}]}` |
| a paragraph a line | `{"title", "context", "qas": [...]}` |
| a question a line, or a table | `question`, `context`, `answers` (SQuAD's list, columns of texts and starts, or one text), `answer_start` |

Each question of `qas` is `{"id", "question", "answers": [{"text", "answer_start"}], "is_impossible"}`; `answer_start` counts
characters (code points) from 0. `is_impossible` says that the paragraph does not answer it (SQuAD 2.0).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import read_records

QUESTION_NAMES = ("question", "query", "问题", "問題", "提问")
CONTEXT_NAMES = ("context", "passage", "paragraph", "document", "text", "正文", "段落", "文章", "原文")
ANSWER_NAMES = ("answers", "answer", "答案", "回答")
START_NAMES = ("answer_start", "start", "offset")
JSON_NAMES = {".json", ".jsonl", ".ndjson"}

NEARBY = 32  # characters from where an answer should stand to where one that is meant may


@dataclass(frozen=True)
class Asked:
    """A question as a file holds it, or what is wrong with it."""

    place: str  # "file:line", and the id where a line holds many
    name: str = ""  # its id
    question: str = ""
    context: str = ""
    answers: tuple[tuple[str, int | None], ...] = ()  # texts and where they should begin
    impossible: bool = False
    fault: str | None = None


def read_questions(sources: Sequence[str | Path], report: ReadingReport | None = None) -> Iterator[Asked]:
    """The questions of files, folders and `data:NAME` in their order; a record that is none comes with its fault.

    Raises TextError as `read_records` does.
    """
    for record in read_records(sources, report):
        yield from _of_record(record.values, record.place)


def questions_of_paragraphs(file: str | Path) -> list[Asked] | None:
    """The questions of a JSON file whose records hold paragraphs; None for any other file. Raises TextError as `read_records` does."""
    if not JSON_NAMES & {suffix.lower() for suffix in Path(file).suffixes}:
        return None
    records = list(read_records([file]))
    if not any(is_of_paragraphs(record.values) for record in records):
        return None
    return [asked for record in records for asked in _of_record(record.values, record.place)]


def is_of_paragraphs(values: dict[str, Any]) -> bool:
    """Whether a record holds paragraphs with questions, or one of them."""
    return any(isinstance(values.get(name), list) for name in ("data", "paragraphs", "qas"))


def _of_record(values: dict[str, Any], place: str) -> Iterator[Asked]:
    if isinstance(values.get("data"), list):
        for article in values["data"]:
            yield from _of_record(article if isinstance(article, dict) else {}, place)
    elif isinstance(values.get("paragraphs"), list):
        for number, paragraph in enumerate(values["paragraphs"], 1):
            if isinstance(paragraph, dict) and isinstance(paragraph.get("qas"), list):
                yield from _of_paragraph(paragraph, place)
            else:
                yield Asked(f"{place} paragraph {number}", fault="a paragraph without a list of questions (qas)")
    elif isinstance(values.get("qas"), list):
        yield from _of_paragraph(values, place)
    else:
        yield asked_of(values, place)


def _of_paragraph(paragraph: dict[str, Any], place: str) -> Iterator[Asked]:
    for number, each in enumerate(paragraph["qas"], 1):
        if not isinstance(each, dict):
            yield Asked(f"{place} question {number}", fault="a question that is no object")
            continue
        yield asked_of({**each, "context": paragraph.get("context")}, f"{place} question {each.get('id', number)}")


def asked_of(values: dict[str, Any], place: str) -> Asked:
    """The question of one record with its context in it."""
    lower = {name.strip().lower(): value for name, value in reversed(list(values.items())) if isinstance(name, str)}

    def found(names: Sequence[str]) -> Any:
        return next((lower[name] for name in names if lower.get(name) is not None), None)

    question, context = found(QUESTION_NAMES), found(CONTEXT_NAMES)
    name = str(lower.get("id") if lower.get("id") is not None else "")
    if question is None or context is None:
        missing = "question" if question is None else "context"
        return Asked(place, name, fault=f"no {missing}; there is only: {', '.join(map(str, values)) or 'nothing'}")
    if not isinstance(question, str) or not isinstance(context, str):
        return Asked(place, name, fault="the question or its context is no text")
    impossible = lower.get("is_impossible")
    given = found(ANSWER_NAMES)
    try:
        answers = tuple(_answers(given, found(START_NAMES)))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        number = isinstance(error, ValueError)  # of `int`; the texts of all answers are there
        fault = "answer_start is no whole number" if number else "answers that are not in SQuAD's form"
        return Asked(place, name, question, context, fault=fault)
    if isinstance(impossible, str):
        impossible = impossible.strip().lower() in ("1", "true", "yes")
    # Where texts and starts are columns, as in published copies of SQuAD 2.0, empty ones say that there is no answer.
    impossible = bool(impossible) or (isinstance(given, dict) and not answers)
    return Asked(place, name, question, context, answers, impossible)


def _answers(given: Any, start: Any) -> Iterator[tuple[str, int | None]]:
    if given is None or given == "":
        return
    if isinstance(given, dict) and isinstance(given.get("text"), list):
        texts = given["text"]
        starts = given.get("answer_start") or [None] * len(texts)
        given = [{"text": text, "answer_start": begin} for text, begin in zip(texts, starts, strict=True)]
    elif not isinstance(given, list):
        given = [given if isinstance(given, dict) else {"text": given, "answer_start": start}]
    for each in given:
        text, begin = (each, None) if isinstance(each, str) else (each["text"], each.get("answer_start"))
        if not isinstance(text, str):
            raise TypeError("an answer is a text")
        yield text, None if begin in (None, "") else int(begin)


def placed_answer(context: str, text: str, start: int | None) -> tuple[int | None, str | None]:
    """Where an answer begins in its context, and what is wrong with where it should: (place, fault).

    The place is None where it cannot be told. An answer that is not where its offset says is looked for: it is taken where it
    stands in one place only, or in one place only nearby.

    >>> placed_answer("ink and stone and ink", "stone", 8), placed_answer("ink and stone and ink", "stone", 9)
    ((8, None), (8, 'an answer is not where its offset says; it stands in one other place, which is taken'))
    >>> placed_answer("ink and stone and ink", "brush", 4)
    (None, 'an answer does not stand in its context')
    """
    if start is not None and start >= 0 and context[start : start + len(text)] == text:
        return start, None
    places = _occurrences(context, text)
    if not places:
        return None, "an answer does not stand in its context"
    if start is None or start < 0:
        return places[0], None if len(
            places
        ) == 1 else "an answer without an offset stands in several places; the first is taken"
    near = places if len(places) == 1 else [place for place in places if abs(place - start) <= NEARBY]
    if len(near) != 1:
        return None, "an answer is not where its offset says, and stands in several other places"
    return near[0], "an answer is not where its offset says; it stands in one other place, which is taken"


def _occurrences(context: str, text: str) -> list[int]:
    places, at = [], context.find(text)
    while at >= 0:
        places.append(at)
        at = context.find(text, at + 1)
    return places
