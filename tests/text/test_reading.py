import io
import json
import os
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from inkstone.errors import TextError
from inkstone.text import reading
from inkstone.text.document import SCHEMA
from inkstone.text.reading import ReadingReport, read, total_bytes

PROSE = "The ink is ground slowly on the stone, with a little water."
CHINESE = "墨要慢慢地磨，水要一点一点地加。"


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "corpus"
    (place / "b").mkdir(parents=True)
    (place / "a.txt").write_text("first")
    (place / "b" / "c.md").write_text("# second")
    (place / "b" / "code.py").write_text("third = 3")
    (place / ".hidden").write_text("never")
    (place / ".git").mkdir()
    (place / ".git" / "config.txt").write_text("never")
    return place


def test_a_folder_is_read_in_order_without_hidden_files(folder):
    report = ReadingReport()
    (frame,) = read([folder], report=report)
    assert frame.schema == SCHEMA
    assert frame["text"].to_list() == ["first", "# second", "third = 3"]
    assert frame["source"].to_list() == [str(folder / name) for name in ("a.txt", "b/c.md", "b/code.py")]
    assert frame["id"].to_list() == [f"{source}#0" for source in frame["source"]]
    assert (report.files, report.documents, report.skipped) == (3, 3, [])
    assert report.encodings == {"ascii": 3}
    assert report.formats == {"text": 3}


def test_bytes_are_told_as_they_lie_on_the_disk(folder):
    (folder / "data.jsonl").write_text("\n".join(json.dumps({"text": PROSE}) for _ in range(1000)))
    pl.DataFrame({"text": [PROSE] * 1000}).write_parquet(folder / "data.parquet")
    told: list[int] = []
    report = ReadingReport()
    list(read([folder], report=report, on_bytes=told.append))
    assert sum(told) == total_bytes([folder]) == report.bytes
    assert total_bytes(["-"]) is None


def test_batches_are_bounded_and_ids_do_not_depend_on_them(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"{number} {PROSE * 200}"}) for number in range(1500)))
    small = list(read([path], batch_bytes=1 << 20))
    whole = list(read([path], batch_bytes=1 << 30))
    assert len(small) > 2
    assert len(whole) == 1
    assert pl.concat(small).equals(whole[0])
    assert whole[0]["id"].n_unique() == 1500
    assert whole[0]["id"][1499] == f"{path}#1499"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.html", "a.json"])
def test_every_text_format_in_every_encoding(tmp_path, codec, name):
    content = {
        "a.txt": CHINESE,
        "a.jsonl": json.dumps({"id": 1, "正文": CHINESE}, ensure_ascii=False) + "\n",
        "a.csv": f"id,text\n1,{CHINESE}\n",
        "a.tsv": f"id\tcontent\n1\t{CHINESE}\n",
        "a.html": f"<html><p>{CHINESE}</p></html>",
        "a.json": json.dumps([{"body": CHINESE}], ensure_ascii=False, indent=1),
    }[name]
    (tmp_path / name).write_bytes(content.encode(codec))
    assert texts(tmp_path / name) == [CHINESE]


def test_mixed_encodings_in_one_folder_are_told_apart(tmp_path):
    for codec in ("utf-8", "utf-16", "gb18030"):
        (tmp_path / f"{codec}.txt").write_bytes(CHINESE.encode(codec))
    (tmp_path / "big5.txt").write_bytes("墨要慢慢地磨，水要一點一點地加。".encode("big5"))
    (tmp_path / "latin.txt").write_bytes("Die Größe der Bäume".encode("latin-1"))
    report = ReadingReport()
    assert sorted(set(texts(tmp_path, report=report))) == sorted(
        [CHINESE, "墨要慢慢地磨，水要一點一點地加。", "Die Größe der Bäume"]
    )
    assert report.encodings == {"utf-8": 1, "utf-16-le": 1, "gb18030": 1, "big5": 1, "latin-1": 1}


def test_standard_input(monkeypatch):
    def stdin(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    stdin(CHINESE.encode("gb18030"))
    (frame,) = read(["-"])
    assert frame["text"].to_list() == [CHINESE]
    assert frame["id"].to_list() == ["-#0"]
    stdin(json.dumps({"text": PROSE}).encode())
    assert texts("-") == [PROSE]
    buffer = io.BytesIO()
    pl.DataFrame({"text": [PROSE]}).write_parquet(buffer)
    stdin(buffer.getvalue())
    assert texts("-") == [PROSE]
    stdin(b"")
    with pytest.raises(TextError, match="empty"):
        texts("-")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=20))
def test_parquet_is_read_back(tmp_path, written):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"n": range(len(written)), "text": pl.Series(written, dtype=pl.String)}).write_parquet(path)
    if written:
        assert texts(path) == written
    else:
        with pytest.raises(TextError):
            texts(path)


def test_parquet_lists_nulls_and_missing_text(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"paragraphs": [["one", "two"], None, ["three"]]}).write_parquet(path)
    report = ReadingReport()
    assert texts(path, report=report) == ["one\ntwo", "three"]
    assert report.malformed == 1
    pl.DataFrame({"price": [1.0, 2.0]}).write_parquet(path)
    with pytest.raises(TextError, match="price"):
        texts(path)
    path.write_bytes(b"PAR1 and no table")
    with pytest.raises(TextError, match=r"table\.parquet"):
        texts(path)


def test_large_parquet_is_read_whole_and_in_order(tmp_path):
    written = [f"{number} " + PROSE * (number % 40) for number in range(20_000)]
    pl.DataFrame({"text": written}).write_parquet(tmp_path / "large.parquet", row_group_size=7000)
    assert texts(tmp_path / "large.parquet", batch_bytes=1 << 20) == written


def test_a_huge_line_streams_in_pieces(tmp_path):
    path = tmp_path / "line.txt"
    path.write_text("墨 " * 6_000_000)  # 24 MB without a line end
    found = texts(path)
    assert len(found) > 20
    assert all(len(text.encode()) <= 1 << 20 for text in found)
    assert "".join(found) == "墨 " * 6_000_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (bytes(5000), "only zero bytes"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 9, "binary"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 9, "binary"),
    ],
)
def test_files_that_hold_no_text(tmp_path, content, reason):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(content)
    with pytest.raises(TextError, match=f"bad.txt: .*{reason}"):
        texts(bad)
    (tmp_path / "good.txt").write_text(PROSE)
    report = ReadingReport()
    assert texts(tmp_path, report=report) == [PROSE]
    assert [(source, reason in why) for source, why in report.skipped] == [(str(bad), True)]
    (tmp_path / "good.txt").unlink()
    with pytest.raises(TextError, match=f"no readable text.*{reason}"):
        texts(tmp_path)


def test_a_path_that_does_not_exist_names_the_nearest(folder):
    with pytest.raises(TextError, match=r"did you mean '.*a\.txt'"):
        texts(folder / "a.text")
    with pytest.raises(TextError, match="does not exist"):
        texts(folder / "nowhere" / "at" / "all.txt")


def test_links_that_lead_in_circles_or_nowhere(folder):
    (folder / "b" / "circle").symlink_to(folder)
    (folder / "broken.txt").symlink_to(folder / "gone.txt")
    (folder / "again.txt").symlink_to(folder / "a.txt")
    os.mkfifo(folder / "pipe")
    report = ReadingReport()
    assert texts(folder, report=report) == ["first", "# second", "third = 3"]
    assert {Path(source).name for source, _ in report.skipped} == {"circle", "broken.txt", "again.txt", "pipe"}


def test_a_file_named_twice_is_read_once(folder):
    assert texts(folder / "a.txt", folder, folder / "a.txt") == ["first", "# second", "third = 3"]


def test_an_unreadable_file_is_skipped_in_a_folder_and_an_error_when_named(folder, monkeypatch):
    def refuse(path, *arguments, **options):
        if Path(path).name == "a.txt":
            raise PermissionError(13, "Permission denied")
        return open(path, *arguments, **options)

    monkeypatch.setattr(reading, "open", refuse, raising=False)
    report = ReadingReport()
    assert texts(folder, report=report) == ["# second", "third = 3"]
    assert report.skipped == [(str(folder / "a.txt"), "no permission to read it")]
    with pytest.raises(TextError, match="no permission"):
        texts(folder / "a.txt")


def test_an_unreadable_folder_is_skipped_inside_and_an_error_when_named(folder, monkeypatch):
    listdir = os.listdir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    report = ReadingReport()
    assert texts(folder, report=report) == ["first"]
    assert report.skipped == [(str(folder / "b"), "the folder cannot be read: Permission denied")]
    with pytest.raises(TextError, match="cannot be read"):
        texts(folder / "b")


def test_what_lies_in_a_folder_that_may_not_be_entered(folder, monkeypatch):
    status = Path.stat

    def refuse(path, **options):
        if path.parent.name == "b":
            raise PermissionError(13, "Permission denied")
        return status(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    report = ReadingReport()
    assert texts(folder, report=report) == ["first"]
    assert report.skipped and {reason for _, reason in report.skipped} == {"no permission to read it"}
    with pytest.raises(TextError, match="cannot be read: Permission denied"):
        texts(folder / "b" / "c.md")


def test_a_text_given_in_place_of_a_path(folder):
    with pytest.raises(TextError, match="cannot be read: File name too long"):
        texts(Path("Once upon a time there was a stone. " * 20))


def test_an_empty_folder(tmp_path):
    with pytest.raises(TextError, match="no readable text"):
        texts(tmp_path)


def test_names_that_are_no_utf8(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xc4\xe3.txt"
    with open(name, "wb") as file:
        file.write(PROSE.encode())
    assert texts(tmp_path) == [PROSE]


def test_the_text_that_ships_with_python():
    batch = next(read(["python:"], batch_bytes=100_000))
    assert batch["source"][0].startswith("python:topics/")
