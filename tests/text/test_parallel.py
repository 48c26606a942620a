"""Parallel text: what belongs together, what is told by names, and what is refused."""

import gzip
import json
import lzma
import zipfile
from io import BufferedReader, BytesIO

import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.text.member import Member
from inkstone.text.parallel import Columns, _groups, _lines, language_of_name, read_parallel
from inkstone.text.reading_report import ReadingReport


def write(path, text):
    data = text.encode()
    if path.suffix == ".xz":
        data = lzma.compress(data)
    if path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data)
    return str(path)


def sides(*sources, **how):
    return [row.sides for row in read_parallel(list(sources), **how)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.en", "a.de"),
        ("en.txt", "de.txt"),
        ("train.en.xz", "train.de.gz"),
        ("a.en-de.en", "a.en-de.de"),
        ("x.eng", "x.deu"),
    ],
)
def test_two_files_are_told_by_their_names(tmp_path, first, second):
    one, two = write(tmp_path / first, "Ink.\nA stone.\n"), write(tmp_path / second, "Tinte.\nEin Stein.")
    rows = list(read_parallel([one, two]))
    assert [row.sides for row in rows] == [
        (("en", "Ink."), ("de", "Tinte.")),
        (("en", "A stone."), ("de", "Ein Stein.")),
    ]
    assert rows[1].place == f"{one}:2"
    assert sides(two, one)[0] == (("de", "Tinte."), ("en", "Ink."))  # the order of the command is that of the sides


def test_several_pairs_of_files_and_a_folder(tmp_path):
    for name, text in (("a.en", "Ink."), ("a.de", "Tinte."), ("b.en", "Paper."), ("b.zh", "纸。"), ("b.de", "Papier.")):
        write(tmp_path / name, text)
    assert sides(str(tmp_path)) == [
        (("de", "Tinte."), ("en", "Ink.")),
        (("de", "Papier."), ("en", "Paper."), ("zh", "纸。")),
    ]


def test_two_files_whose_names_tell_nothing_are_taken_in_their_order(tmp_path):
    one, two = write(tmp_path / "left.txt", "Ink."), write(tmp_path / "right.txt", "墨。")
    assert sides(one, two) == [((None, "Ink."), (None, "墨。"))]


def test_lines_are_broken_at_line_ends_alone(tmp_path):
    one, two = write(tmp_path / "a.en", "A\u2028b\x0cc\r\nd\r\n"), write(tmp_path / "a.de", "E\nf\n")
    assert sides(one, two) == [(("en", "A\u2028b\x0cc"), ("de", "E")), (("en", "d"), ("de", "f"))]


def test_a_word_in_both_names_is_no_language(tmp_path):
    one, two = write(tmp_path / "my_source.txt", "Ink."), write(tmp_path / "my_target.txt", "墨。")
    assert sides(one, two) == [((None, "Ink."), (None, "墨。"))]
    one, two = write(tmp_path / "no_1.en", "Ink."), write(tmp_path / "no_1.de", "Tinte.")
    assert sides(one, two) == [(("en", "Ink."), ("de", "Tinte."))]


def test_a_short_word_is_a_language_only_where_a_name_ends(tmp_path):
    one, two = write(tmp_path / "my_source.txt", "Ink."), write(tmp_path / "letters.de.txt", "Tinte.")
    assert sides(one, two) == [((None, "Ink."), ("de", "Tinte."))]
    for name, code in (("is_it.it.txt", "it"), ("it.txt", "it"), ("letters.NO", "no"), ("he_is_my_id.zip.txt", None)):
        assert language_of_name(name)[0] == code


def test_files_in_folders_of_another_system_belong_to_their_folder():
    found = [
        _lines(Member(f"{folder}\\a.{code}", BufferedReader(BytesIO(b"Ink.")), ReadingReport()), f"a.{code}")
        for folder in ("x", "y")
        for code in ("en", "de")
    ]
    assert [[each.label for each in group] for group in _groups(found)] == [
        [r"x\a.en", r"x\a.de"],
        [r"y\a.en", r"y\a.de"],
    ]


def test_files_of_unequal_length_are_refused_with_both_numbers(tmp_path):
    one, two = write(tmp_path / "a.en", "a\nb\nc\n"), write(tmp_path / "a.de", "a\nb\n")
    with pytest.raises(TextError, match=r"unequal length.*a\.en 3, .*a\.de 2 lines"):
        sides(one, two)


def test_a_file_that_is_left_alone_is_refused(tmp_path):
    one = write(tmp_path / "a.en", "a\nb\n")
    with pytest.raises(TextError, match=r"a\.en: lines of one language; name the file with the other one"):
        sides(one)


def test_a_file_within_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("set/train.en", "Ink.\n")
        archive.writestr("set/train.zh", "墨。\n")
    assert sides(str(tmp_path / "both.zip")) == [(("en", "Ink."), ("zh", "墨。"))]


def test_a_table_without_names_has_its_first_two_columns_of_texts(tmp_path):
    rows = "".join(f"{n}\tInk {n}.\t墨{n}。\tCC-BY 2.0\n" for n in range(8))
    assert sides(write(tmp_path / "a.tsv", rows))[1] == ((None, "Ink 1."), (None, "墨1。"))
    assert sides(write(tmp_path / "b.txt", "Hi.\t嗨。\nGo.\t走。\n")) == [
        ((None, "Hi."), (None, "嗨。")),
        ((None, "Go."), (None, "走。")),
    ]


def test_columns_are_told_by_their_names(tmp_path):
    table = "id,german,English,note\n1,Tinte,Ink,x\n"
    assert sides(write(tmp_path / "a.csv", table)) == [(("de", "Tinte"), ("en", "Ink"))]
    table = "target\tsource\nTinte\tInk\n"
    assert sides(write(tmp_path / "b.tsv", table)) == [((None, "Ink"), (None, "Tinte"))]
    table = "a,b,c\nTinte,Ink,墨\nStein,Stone,石\n"
    path = write(tmp_path / "c.csv", table)
    assert sides(path, columns=Columns("c", "a"))[0] == ((None, "墨"), (None, "Tinte"))
    assert sides(path, columns=Columns(target="a"))[0] == ((None, "Ink"), (None, "Tinte"))
    with pytest.raises(TextError, match=r"task.source_column = 'd', but the columns are: a, b, c"):
        sides(path, columns=Columns("d"))


def test_records_with_languages_inside(tmp_path):
    rows = [{"translation": {"en": "Ink", "zh": "墨"}}, {"translation": {"en": "Stone", "zh": None}}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert sides(path) == [(("en", "Ink"), ("zh", "墨")), (("en", "Stone"), ("zh", ""))]


def test_a_table_with_one_text_is_refused_with_its_columns(tmp_path):
    path = write(tmp_path / "a.csv", "text,number\nInk,1\nStone,2\n")
    with pytest.raises(TextError, match=r"a\.csv: no two columns of texts; the columns are: text, number"):
        sides(path)


def test_rows_with_too_few_cells_are_counted(tmp_path):
    report = ReadingReport()
    path = write(tmp_path / "a.tsv", "Ink.\t墨。\nStone.\nPaper.\t纸。\n")
    assert len(sides(path, report=report)) == 2 and report.malformed == 1 and report.skipped[0][0].endswith(":2")


@given(st.text(alphabet="aeinopr.-_", max_size=12))
def test_a_language_in_a_name_leaves_the_rest(name):
    language, rest = language_of_name(name + ".de")
    assert language == "de" and rest == name + ".*"
    assert language_of_name(name + ".zh-Hans")[1].endswith(".*-Hans")
