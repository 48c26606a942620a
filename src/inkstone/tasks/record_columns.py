"""Texts with the records that are to be told of them, as files have them: a record in a column, or a column a field."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from inkstone.errors import TextError
from inkstone.tasks.columns import by_name, named
from inkstone.text.reading_report import ReadingReport
from inkstone.text.record_schema import kind_of
from inkstone.text.records import Record, read_records
from inkstone.text.text_column import as_text, choose

RECORD_NAMES = (
    *(
        "record",
        "json",
        "output",
        "answer",
        "target",
        "label",
        "labels",
        "extracted",
        "extraction",
        "fields",
        "entities",
    ),
    *("events", "event", "facts", "slots", "frame", "form", "记录", "字段", "结果", "事件", "实体"),
)
SAMPLE = 200  # records by which columns are told
WHOLE_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})")


class Columns:
    """Which columns hold the text and its record; where no column holds records, each of the others is a field."""

    def __init__(self, text: str, record: str | None, fields: Sequence[str], numbers: frozenset[str] = frozenset()):
        self.text, self.record, self.fields, self.numbers = text, record, tuple(fields), numbers

    @classmethod
    def of(
        cls, head: Sequence[Record], text: str | None, record: str | None, fields: Sequence[str] | None
    ) -> "Columns":
        """By the names that are given, else by usual names and contents. Raises TextError where there are none."""
        samples = {
            name: [each.values.get(name) for each in head]
            for name in dict.fromkeys(name for each in head for name in each.values)
        }
        text = None if text is None else named(samples, text, "task.source_column")
        if record is not None:
            record = named(samples, record, "task.target_column")
        elif fields is None:
            holding = {name: values for name, values in samples.items() if name != text and _hold_records(values)}
            record = by_name(holding, RECORD_NAMES) or next(iter(holding), None)
        if text is None:
            rest = {n: v for n, v in samples.items() if n != record and n not in (fields or ())}
            text = choose(rest, said_by="--set task.source_column=NAME")
        rest = [name for name in samples if name != text] if fields is None else list(fields)
        for name in fields or ():
            named(samples, name, "task.fields")
        if record is None and not rest:
            raise TextError(
                f"{text!r} is the only column; what is to be told of the text stands in others: one with a record in JSON, or a "
                "column for each field"
            )
        numbers = frozenset(name for name in rest if _whole_numbers(samples[name]))
        return cls(text, record, [] if record else rest, numbers)

    @property
    def told(self) -> dict[str, str]:
        """What a person is told of them."""
        return {"text": self.text} | ({"record": self.record} if self.record else {n: n for n in self.fields})

    def text_of(self, record: Record) -> str:
        """The text, without blanks around it."""
        return (as_text(record.values.get(self.text)) or "").strip()

    def record_of(self, record: Record) -> Any:
        """The record: an object or a list. Raises TextError, with the reason, for what is none."""
        if self.record is None:
            values = {name: record.values.get(name) for name in self.fields}
            kept = {name: value for name, value in values.items() if value is not None and value != ""}
            return {name: int(v) if name in self.numbers and _whole_number(v) else v for name, v in kept.items()}
        value = record.values.get(self.record)
        if isinstance(value, str):
            try:
                value = json.loads(value, parse_constant=_no_number)
            except (ValueError, RecursionError):
                raise TextError("the record is no JSON") from None
        if not isinstance(value, Mapping | list):
            raise TextError(f"the record is {kind_of(value)}, where an object or a list should stand")
        return value


def read_with_records(
    sources: Sequence[str], report: ReadingReport, text: str | None, record: str | None, fields: Sequence[str] | None
) -> tuple[Columns, Iterator[Record]]:
    """The columns of files, and their rows. Raises TextError where there are no such columns."""
    records = read_records(sources, report)
    head = list(islice(records, SAMPLE))
    try:
        columns = Columns.of(head, text, record, fields)
    except TextError as error:
        raise TextError(f"{', '.join(sources)}: {error}") from None
    return columns, (each for part in (head, records) for each in part)


def _hold_records(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None and value != ""]
    return bool(known) and sum(map(_holds_record, known)) * 2 >= len(known)


def _holds_record(value: Any) -> bool:
    if isinstance(value, list):
        return not all(isinstance(item, str) for item in value) or not value
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return isinstance(json.loads(value), Mapping | list)
        except (ValueError, RecursionError):
            return False
    return isinstance(value, Mapping)


def _whole_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None and value != ""]
    return bool(known) and all(map(_whole_number, known)) and all(isinstance(value, str) for value in known)


def _whole_number(value: Any) -> bool:
    return isinstance(value, str) and bool(WHOLE_NUMBER.fullmatch(value))


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
