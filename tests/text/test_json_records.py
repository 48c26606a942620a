import json

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from inkstone.errors import TextError
from inkstone.text import json_records
from inkstone.text.json_records import values
from inkstone.text.reading import ReadingReport, read

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(TEXT, min_size=1, max_size=30), st.booleans(), st.sampled_from(["lines", "array", "indented", "strings"])
)
def test_what_was_written_is_read_back(tmp_path, written, ascii_only, layout):
    records = [{"n": number, "text": text} for number, text in enumerate(written)]
    path = tmp_path / ("a.jsonl" if layout == "lines" else "a.json")
    if layout == "lines":
        content = "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records)
    else:
        indent = 2 if layout == "indented" else None
        content = json.dumps(written if layout == "strings" else records, ensure_ascii=ascii_only, indent=indent)
    path.write_text(content, encoding="utf-8")
    assert texts(path) == written


@given(st.lists(JSON, max_size=6), st.integers(1, 20), st.sampled_from([None, 1]))
def test_values_equal_the_standard_parser(written, size, indent):
    content = json.dumps(written, indent=indent)
    assert list(values(content[at : at + size] for at in range(0, len(content), size))) == written


@given(st.lists(st.dictionaries(TEXT, JSON, max_size=3), max_size=5), st.integers(1, 20))
def test_values_that_follow_each_other(written, size):
    content = "\n".join(json.dumps(value, indent=2) for value in written)
    assert list(values(content[at : at + size] for at in range(0, len(content), size))) == written


def test_malformed_lines_are_skipped_and_told_by_their_line(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [
        '{"text": "one"}',
        '{"text": "cut',
        "",
        '{"text": null}',
        '{"other": 1}',
        "[1]",
        "nonsense",
        '{"text": "two"}',
    ]
    path.write_text("\n".join(lines))
    report = ReadingReport()
    assert texts(path, report=report) == ["one", "two"]
    assert report.malformed == 5
    assert report.skipped == [
        (f"{path}:2", "not a JSON object: it ends too early"),
        (f"{path}:4", "a record without 'text'"),
        (f"{path}:5", "a record without 'text'"),
        (str(path), "2 more malformed records"),
    ]


def test_line_numbers_hold_across_blocks(tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps({"text": "x" * 1000}) + "\n"
    path.write_text(good * 9000 + "broken\n" + good * 10)
    report = ReadingReport()
    assert len(texts(path, report=report)) == 9010
    assert report.skipped == [(f"{path}:9001", "not a JSON object")]


def test_only_malformed_lines_is_an_error_that_lists_them(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("one\ntwo\n")
    with pytest.raises(TextError, match=r"a\.jsonl:1: not a JSON object"):
        texts(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'{"text": "lone \ud83d end"}', "lone \ufffd end"),
        (r'{"text": "pair \ud83d\ude00 end"}', "pair 😀 end"),
        (r'{"text": "no escape \\ud83d"}', r"no escape \ud83d"),
        ('{"text": "raw \x01 control"}', "raw \x01 control"),
        ('{"text": 12.5}', "12.5"),
    ],
)
def test_strange_strings(tmp_path, line, expected):
    path = tmp_path / "a.jsonl"
    path.write_text(line + '\n{"text": "a second, plain one"}\n')
    assert texts(path) == [expected, "a second, plain one"]


@pytest.mark.parametrize("broken", [False, True])
def test_lists_of_strings_are_joined(tmp_path, broken):
    path = tmp_path / "poems.jsonl"
    lines = [{"title": "登鸛雀樓", "paragraphs": ["白日依山盡，", "黃河入海流。"]}, {"title": "x", "paragraphs": []}]
    path.write_text("\n".join(json.dumps(line) for line in lines) + ("\n{broken" if broken else ""))
    assert texts(path) == ["白日依山盡，\n黃河入海流。", ""]


def test_the_text_column_is_chosen_or_given(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"url": "http://a/b", "opinion": "It was a dark and stormy night.", "stars": 5}))
    assert texts(path) == ["It was a dark and stormy night."]
    assert texts(path, text_column="url") == ["http://a/b"]
    with pytest.raises(TextError, match=r"no column 'opinon'.*url, opinion, stars.*did you mean 'opinion'"):
        texts(path, text_column="opinon")
    path.write_text(json.dumps({"a": 1, "b": "x"}))
    with pytest.raises(TextError, match="no column that holds text; the columns are: a, b"):
        texts(path)


def test_a_broken_array_is_named_by_its_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[\n {"text": "one"},\n {"text": "two"\n]')
    with pytest.raises(TextError, match=r"a\.json: malformed JSON in the value that begins at line 3"):
        texts(path)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_record_beyond_the_limit_is_left_out(tmp_path, monkeypatch, name):
    monkeypatch.setattr(json_records, "RECORD_LIMIT", 1 << 20)
    path = tmp_path / name
    good = json.dumps({"text": "fine"}) + "\n"
    path.write_text(good + json.dumps({"text": "y" * (3 << 20)}) + "\n" + good)
    report = ReadingReport()
    assert texts(path, report=report) == ["fine", "fine"]
    assert report.skipped == [(f"{path}:2", "longer than 1 MiB")]


def test_a_value_beyond_the_limit_ends_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr(json_records, "RECORD_LIMIT", 1 << 20)
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": "fine"}, {"text": "y" * (8 << 20)}]))
    with pytest.raises(TextError, match="line 1: larger than 1 MiB"):
        texts(path)


def test_nesting_without_end_is_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(TextError):
        texts(path)
