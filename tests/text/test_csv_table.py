import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from inkstone.errors import TextError
from inkstone.text import csv_table
from inkstone.text.reading import ReadingReport, read

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n\t",;|'), min_size=1)


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(CELL, min_size=1, max_size=20), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]))
def test_what_was_written_is_read_back(tmp_path, written, delimiter, line_end):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([["id", "text", "label"], *([str(number), text, "x"] for number, text in enumerate(written))])
    path = tmp_path / "a.csv"
    path.write_bytes(buffer.getvalue().encode())
    assert texts(path) == written


def test_quotation_marks_of_tsv_are_only_marks(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('id\tsentence\n1\t"Quoted" at the start of it\n2\tand a " in the middle of it\n')
    assert texts(path) == ['"Quoted" at the start of it', 'and a " in the middle of it']


def test_quotation_marks_of_tsv_quote_when_a_field_needs_them(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('id\ttext\n1\t"two\nlines\tand a tab"\n2\tplain\n')
    assert texts(path) == ["two\nlines\tand a tab", "plain"]


def test_a_quotation_mark_far_down_in_a_tsv_takes_no_lines_for_its_own(tmp_path):
    """As in ChnSentiCorp: prose that begins with a quotation mark, which another row closes hundreds of lines below."""
    rows = [f"1\tthe stone of row {number} is smooth" for number in range(400)]
    rows[150], rows[300] = '0\t"Smooth" they say, and it is rough', '1\t"So it is'
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(["label\ttext", *rows]) + "\n")
    report = ReadingReport()
    assert texts(path, report=report) == [row[2:] for row in rows] and report.malformed == 0


def test_a_first_row_that_comes_again_in_its_columns_holds_no_names(tmp_path):
    rows = [
        ("to category", f"the ink of stone {number} is dark", "art" if number % 2 else "craft") for number in range(9)
    ]
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(map("\t".join, rows)) + "\n")
    assert texts(path) == [text for _, text, _ in rows]
    path.write_text("\n".join(map("\t".join, [("task", "title", "field"), *rows, ("task", "title", "field")])) + "\n")
    assert texts(path) == [*(text for _, text, _ in rows), "title"]


def test_a_table_without_a_header(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("1\tThe ink is ground slowly on the stone.\n2\tThe water is poured with care into the dish.\n")
    assert texts(path) == ["The ink is ground slowly on the stone.", "The water is poured with care into the dish."]
    assert texts(path, text_column="column_1") == ["1", "2"]


def test_a_table_without_text_names_its_columns(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("date,price\n2024-01-01,3.50\n2024-01-02,3.75\n")
    with pytest.raises(TextError, match=r"prices\.csv: no column that holds text; the columns are: date, price"):
        texts(path)
    (tmp_path / "good.txt").write_text("text")
    report = ReadingReport()
    assert texts(tmp_path, report=report) == ["text"]
    assert report.skipped[0][0] == str(path)
    assert texts(path, text_column="date") == ["2024-01-01", "2024-01-02"]


def test_malformed_rows_are_skipped_and_told_by_their_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,one\n2\n3,"two"x\n4,three,too many\n5,four,\n6,\n7,five\n')
    report = ReadingReport()
    assert texts(path, report=report) == ["one", "four", "five"]
    assert [source for source, _ in report.skipped] == [f"{path}:{line}" for line in (4, 3, 5)]
    assert report.malformed == 3


def test_a_quotation_mark_that_never_closes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,one\n2,"never closed\n3,three\n')
    report = ReadingReport()
    assert texts(path, report=report) == ["one"]
    assert report.malformed == 2  # each line that it takes is counted


def test_a_field_beyond_the_limit_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, "RECORD_LIMIT", 1 << 20)
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,one\n2," + "y" * (3 << 20) + "\n3,three\n")
    report = ReadingReport()
    assert texts(path, report=report) == ["one", "three"]
    assert report.malformed == 1
