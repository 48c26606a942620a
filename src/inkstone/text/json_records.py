"""JSON lines, JSON arrays of records, and single JSON records."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import polars as pl

from inkstone.errors import TextError
from inkstone.text.line_blocks import line_blocks
from inkstone.text.member import RECORD_LIMIT, Member
from inkstone.text.text_column import SAMPLE_RECORDS, as_text, choose

SERIES_BYTES = 4 << 20
SURROGATE = re.compile(rb"\\u[dD]")
HIGH_SURROGATE = re.compile(rb"\\ud[89ab]", re.IGNORECASE)
LOW_SURROGATE = re.compile(rb"\\ud[c-f]", re.IGNORECASE)
SURROGATE_PAIR = re.compile(rb"\\ud[89ab][0-9a-f]{2}\\ud[c-f]", re.IGNORECASE)
OPENING = re.compile(r"\s*\[?\s*")
BETWEEN = re.compile(r"[\s,]*")
EARLY = "it ends too early"
DELIMITERS = " \t\r\n,]"

Record = dict[str, object]


def texts(member: Member) -> Iterator[pl.Series]:
    """The text of each record of a JSON file: one record a line, an array of records, or records over several lines.

    Records are objects with a text column; in an array they may also be strings. A record without text and a line that
    is no JSON object are left out and counted as faults. Raises TextError when no column holds text, and where an array
    is broken.
    """
    blocks = member.utf8()
    first = next(blocks, b"")
    blocks = chain([first], blocks)
    head = first.lstrip()
    if member.key or head.startswith(b"[") or (head.startswith(b"{") and _goes_over_lines(head)):
        yield from _from_values(member, blocks)
    else:
        yield from _from_lines(member, blocks)


def records(member: Member) -> Iterator[tuple[int, Record]]:
    """(number, record) of each JSON object: its line in JSON lines, its place from 1 in an array.

    A line or element that is no object is a fault of the member and left out.
    """
    blocks = member.utf8()
    first = next(blocks, b"")
    blocks = chain([first], blocks)
    head = first.lstrip()
    if member.key or head.startswith(b"[") or (head.startswith(b"{") and _goes_over_lines(head)):
        for number, value in enumerate(_elements(member, blocks), 1):
            if isinstance(value, dict):
                yield number, value
            else:
                member.fault(number, "not a record (the number counts the elements of the array)")
        return
    numbered = line_blocks(
        blocks, RECORD_LIMIT, lambda line: member.fault(line, f"longer than {RECORD_LIMIT >> 20} MiB")
    )
    for number, block in numbered:
        for line_number, line in enumerate(block.split(b"\n"), number):
            if line.strip():
                record = _record(line)
                if record is None:
                    member.fault(line_number, _fault_of(line))
                else:
                    yield line_number, record


def _goes_over_lines(head: bytes) -> bool:
    """Whether the records are laid out over several lines: none of the first lines is a record of its own."""
    lines = head.split(b"\n", 3)[:3]
    return len(lines) > 1 and all(_record(line) is None for line in lines)


def _from_lines(member: Member, blocks: Iterable[bytes]) -> Iterator[pl.Series]:
    column: str | None = None
    listed = False
    numbered = line_blocks(
        blocks, RECORD_LIMIT, lambda line: member.fault(line, f"longer than {RECORD_LIMIT >> 20} MiB")
    )
    for number, block in numbered:
        if column is None:
            lines = block.split(b"\n", SAMPLE_RECORDS)[:SAMPLE_RECORDS]
            records = [record for line in lines if (record := _record(line)) is not None]
            if records:
                column = _column(records, member.text_column)
                listed = any(isinstance(record.get(column), list) for record in records)
        found = _fast(block, column, listed) if column is not None else None
        yield found if found is not None else _slow(member, number, block, column)


def _fast(block: bytes, column: str, listed: bool) -> pl.Series | None:
    """The texts of a block of lines, or None when something in it needs a closer look."""
    if SURROGATE.search(block) and _may_have_lone_surrogates(block):
        return None
    try:
        found = pl.read_ndjson(block, schema={column: pl.List(pl.String) if listed else pl.String})[column]
    except pl.exceptions.PolarsError:
        return None
    if found.null_count():
        return None
    return found.list.join("\n", ignore_nulls=True) if listed else found


def _may_have_lone_surrogates(block: bytes) -> bool:
    pairs = len(SURROGATE_PAIR.findall(block))
    return len(HIGH_SURROGATE.findall(block)) != pairs or len(LOW_SURROGATE.findall(block)) != pairs


def _slow(member: Member, number: int, block: bytes, column: str | None) -> pl.Series:
    """The texts of a block of lines, taken one at a time, so that each fault is known by its line."""
    found: list[str] = []
    for line_number, line in enumerate(block.split(b"\n"), number):
        if not line.strip():
            continue
        record = _record(line)
        text = as_text(record.get(column)) if record and column is not None else None
        if text is not None:
            found.append(_without_lone_surrogates(text))
        else:
            member.fault(line_number, _fault_of(line) if record is None else f"a record without {column!r}")
    return pl.Series(found, dtype=pl.String)


def _record(line: bytes) -> Record | None:
    try:
        value = json.loads(line, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _fault_of(line: bytes) -> str:
    """Why a line is no record."""
    try:
        json.loads(line, strict=False)
    except json.JSONDecodeError as error:
        if _problem(error) == EARLY:
            return f"not a JSON object: {EARLY}"
    except (ValueError, RecursionError):
        pass
    return "not a JSON object"


def _problem(error: json.JSONDecodeError) -> str:
    """What is wrong with a JSON text that has come to its end."""
    early = error.msg.startswith("Unterminated string") or error.pos >= len(error.doc.rstrip())
    return EARLY if early else error.msg


def _column(records: list[Record], wanted: str | None) -> str:
    names = dict.fromkeys(name for record in records for name in record)
    return choose({name: [record.get(name) for record in records] for name in names}, wanted)


def _without_lone_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_values(member: Member, blocks: Iterable[bytes]) -> Iterator[pl.Series]:
    elements = _elements(member, blocks)
    first = list(islice(elements, SAMPLE_RECORDS))
    records = [value for value in first if isinstance(value, dict)]
    column = _column(records, member.text_column) if records else None
    found: list[str] = []
    size = 0
    for number, value in enumerate(chain(first, elements), 1):
        text = as_text(value.get(column)) if isinstance(value, dict) else value
        if isinstance(text, str):
            found.append(_without_lone_surrogates(text))
            size += len(text)
        else:
            member.fault(number, "neither a string nor a record with text (the number counts records)")
        if size > SERIES_BYTES:
            yield pl.Series(found, dtype=pl.String)
            found, size = [], 0
    yield pl.Series(found, dtype=pl.String)


def _elements(member: Member, blocks: Iterable[bytes]) -> Iterator[object]:
    """The values of a file, or those of the list under the key that is meant; lists in it are rows without names."""
    elements = values(block.decode() for block in blocks)
    if member.key is None:
        return elements
    whole = next(elements, None)
    listed = whole.get(member.key) if isinstance(whole, dict) else None
    if not isinstance(listed, list):
        raise TextError(f"no list under the key {member.key!r}")
    return (
        {f"column_{number}": value for number, value in enumerate(each, 1)} if isinstance(each, list) else each
        for each in listed
    )


def values(blocks: Iterable[str]) -> Iterator[object]:
    """The elements of a JSON array, or the JSON values that follow each other, parsed while the text comes in.

    Raises TextError with the line where the text is no JSON, or when one value is larger than `RECORD_LIMIT`.

    >>> list(values(['[{"a": 1}, "b', 'c"', ", 12", "3]"]))
    [{'a': 1}, 'bc', 123]
    """
    decoder = json.JSONDecoder(strict=False)
    blocks = iter(blocks)
    more = True
    gap = OPENING
    buffer, position, line = "", 0, 1
    while True:
        separator = gap.match(buffer, position)
        position = separator.end() if separator else position
        if separator and "[" in separator.group():
            gap = BETWEEN
        rest = len(buffer) - position
        problem = EARLY
        if rest:
            gap = BETWEEN
            if buffer[position] == "]":
                return
            try:
                value, end = decoder.raw_decode(buffer, position)
            except json.JSONDecodeError as error:
                problem = error.msg if more else _problem(error)
            except ValueError as error:
                problem = str(error)
            except RecursionError:
                raise TextError("JSON nested too deep") from None
            else:
                # A number before the end of the buffer may go on with what comes next: "1.5e" and "+3".
                if not more or (
                    end < len(buffer) and (buffer[end] in DELIMITERS or not isinstance(value, (int, float)))
                ):
                    yield value
                    position = end
                    continue
        elif not more:
            return
        if more and rest > RECORD_LIMIT:
            problem = f"larger than {RECORD_LIMIT >> 20} MiB"
        if not more or rest > RECORD_LIMIT:
            line += buffer.count("\n", 0, position)
            raise TextError(f"malformed JSON in the value that begins at line {line}: {problem}")
        line += buffer.count("\n", 0, position)
        parts, length = [buffer[position:]], rest
        while length <= 2 * rest:  # twice as much at each try, so that a large value is not parsed over and over
            block = next(blocks, None)
            if block is None:
                more = False
                break
            parts.append(block)
            length += len(block)
        buffer, position = "".join(parts), 0
