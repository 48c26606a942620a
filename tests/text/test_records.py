"""Tables of examples: each record with its place, what is malformed named, nothing lost in silence."""

import gzip
import json

import pytest

from inkstone.errors import TextError
from inkstone.tasks.understanding import Understanding
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import read_records
from inkstone.text.role_tables import read_roles
from inkstone.text.tag_tables import read_tagged


def read(path, text, packed=False, encoding="utf-8"):
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if packed else data)
    report = ReadingReport()
    return list(read_records([path], report)), report


def test_csv_with_quotes_and_line_ends_inside(tmp_path):
    found, _ = read(tmp_path / "a.csv", 'text,label\n"one,\ntwo",pos\nthree,neg\n')
    assert [(r.place.rpartition("/")[2], r.values) for r in found] == [
        ("a.csv:3", {"text": "one,\ntwo", "label": "pos"}),
        ("a.csv:4", {"text": "three", "label": "neg"}),
    ]


def test_tsv_without_a_head_and_packed_in_an_old_encoding(tmp_path):
    text = "".join(f"第{number}句话很长，写得不错\t{number % 2}\n" for number in range(40))
    found, report = read(tmp_path / "a.tsv.gz", text, packed=True, encoding="gb18030")
    assert found[3].values == {"column_1": "第3句话很长，写得不错", "column_2": "1"}
    assert report.bytes_replaced == 0


def test_json_lines_and_arrays(tmp_path):
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    lines, _ = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    array, _ = read(tmp_path / "b.json", json.dumps(rows, indent=1))
    assert [r.values for r in lines] == [r.values for r in array] == rows


def test_what_is_malformed_is_named_by_its_line(tmp_path):
    found, report = read(tmp_path / "a.jsonl", '{"text": "a"}\nno json\n[1]\n{"text": "b"}\n')
    assert len(found) == 2 and report.malformed == 2
    assert [place.rpartition("/")[2] for place, _ in report.skipped] == ["a.jsonl:2", "a.jsonl:3"]
    found, report = read(tmp_path / "a.csv", "text,label\na,b\nonly one\nc,d\n")
    assert len(found) == 2 and report.skipped[0][0].endswith("a.csv:3")


@pytest.mark.parametrize("text, complaint", [("", "empty file"), ("\n\n", "empty file"), ("text,label\n", "no record")])
def test_a_file_without_records_is_refused(tmp_path, text, complaint):
    with pytest.raises(TextError, match=complaint):
        read(tmp_path / "a.csv", text)


@pytest.mark.parametrize("read", [read_records, read_tagged, read_roles])
def test_a_file_that_is_no_text_is_named(read, tmp_path):
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG" + bytes(range(32)) * 9)
    with pytest.raises(TextError, match=r"picture\.csv: a binary file"):
        list(read([path]) if read is read_records else read([path], Understanding("train", [str(path)])))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"text": "a fine film"}, {"text": "anoth', "value that begins at line 1: it ends too early"),
        ('[{"text": "a fine film"},\n {"text": 7', "value that begins at line 2: it ends too early"),
        ('{"data": [{"paragraphs": [{"con', "cut.json:1: not a JSON object: it ends too early"),
        ('{"data":\n\n [{"paragraphs": [{"con', "value that begins at line 1: it ends too early"),
        ('{"text": bare}', "no record in "),
    ],
)
def test_a_json_file_that_ends_early_is_named_and_said_to_do_so(tmp_path, text, said):
    path = tmp_path / "cut.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TextError) as error:
        list(read_records([path]))
    assert said in str(error.value) and str(error.value).count("cut.json") >= 1
