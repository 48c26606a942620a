"""Which columns hold text and record, and what a record is read as."""

import json

import pytest

from inkstone.errors import TextError
from inkstone.tasks.record_columns import read_with_records
from inkstone.text.reading_report import ReadingReport


def columns_of(path, content, text=None, record=None, fields=None):
    path.write_text(content, encoding="utf-8")
    columns, rows = read_with_records([str(path)], ReadingReport(), text, record, fields)
    return columns, list(rows)


def test_a_column_that_holds_records(tmp_path):
    rows = [{"id": n, "note": "It was a long day.", "record": {"who": "Ada"}, "tags": ["a", "b"]} for n in range(3)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    columns, found = columns_of(tmp_path / "a.jsonl", content)
    assert columns.told == {"text": "note", "record": "record"}
    assert columns.text_of(found[0]) == "It was a long day." and columns.record_of(found[0]) == {"who": "Ada"}
    columns, found = columns_of(tmp_path / "a.jsonl", content, record="tags")
    assert columns.record_of(found[2]) == ["a", "b"]


def test_a_record_may_be_written_in_json(tmp_path):
    content = 'text,output\nInk is sold to Ada.,"{""who"": ""Ada""}"\nInk is sold to Bo.,"{""who"": ""Bo"""\n'
    columns, found = columns_of(tmp_path / "a.csv", content)
    assert columns.record == "output" and columns.record_of(found[0]) == {"who": "Ada"}
    with pytest.raises(TextError, match="the record is no JSON"):
        columns.record_of(found[1])


def test_a_column_for_each_field(tmp_path):
    content = "text,buyer,count,code\nAda buys two.,Ada,2,007\nNobody buys.,,,7\n"
    columns, found = columns_of(tmp_path / "a.csv", content)
    assert columns.told == {"text": "text", "buyer": "buyer", "count": "count", "code": "code"}
    assert columns.record_of(found[0]) == {"buyer": "Ada", "count": 2, "code": "007"}  # 007 is no number
    assert columns.record_of(found[1]) == {"code": "7"}
    columns, found = columns_of(tmp_path / "a.csv", content, fields=["count"])
    assert columns.record_of(found[0]) == {"count": 2}


@pytest.mark.parametrize(
    ("value", "told"), [("NaN", "no JSON"), ("3", "the record is integer"), (None, "the record is null"), ("[" * 9000, "no JSON")]
)  # fmt: skip
def test_what_is_no_record(tmp_path, value, told):
    content = json.dumps({"text": "a b c", "record": value}) + "\n"
    columns, found = columns_of(tmp_path / "a.jsonl", content, record="record")
    with pytest.raises(TextError, match=told):
        columns.record_of(found[0])


def test_columns_that_are_not_there(tmp_path):
    content = '{"text": "Ink is black.", "who": "Ada"}\n'
    for given, told in (
        ({"text": "txt"}, r"task.source_column = 'txt'.*did you mean 'text'"),
        ({"record": "what"}, r"task.target_column = 'what'"),
        ({"fields": ["wo"]}, r"task.fields = 'wo'.*did you mean 'who'"),
    ):
        with pytest.raises(TextError, match=told):
            columns_of(tmp_path / "a.jsonl", content, **given)
    with pytest.raises(TextError, match="'text' is the only column"):
        columns_of(tmp_path / "a.jsonl", '{"text": "Ink is black."}\n')
