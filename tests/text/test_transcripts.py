"""Lists of recordings: each form, relative paths, and what cannot be one."""

import json
import lzma

import pytest

from inkstone.errors import TextError
from inkstone.text import datasets
from inkstone.text.reading_report import ReadingReport
from inkstone.text.transcripts import Columns, read_transcripts


def read(source, wanted=None, found=None):
    return list(read_transcripts([source], wanted or Columns(), ReadingReport(), found))


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "wavs").mkdir()
    for name in "ab":
        (tmp_path / "wavs" / f"{name}.wav").write_bytes(b"RIFF")
    return tmp_path


def test_a_table_without_a_head_is_path_and_text(clips):
    (clips / "list.tsv").write_text("wavs/a.wav\ttwo four\nwavs/b.wav\tone\n", encoding="utf-8")
    found = {}
    one, other = read(clips / "list.tsv", found=found)
    assert (one.audio, one.text, one.speaker) == (clips / "wavs" / "a.wav", "two four", None)
    assert one.place.endswith("list.tsv:1") and other.text == "one"
    assert found == {"recording": "column_1", "transcript": "column_2"}


def test_json_lines_and_named_columns(clips):
    rows = [{"sentence": "two", "path": "a.wav", "client_id": "x"}, {"sentence": "墨", "path": "b", "client_id": ""}]
    (clips / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    one, other = read(clips / "list.jsonl")
    assert one.audio == clips / "wavs" / "a.wav" and one.speaker == "x" and other.speaker is None
    assert other.audio == clips / "wavs" / "b.wav" and other.text == "墨"
    (clips / "own.csv").write_text("where,what\nwavs/a.wav,ink\n", encoding="utf-8")
    (row,) = read(clips / "own.csv", Columns("where", "what"))
    assert row.text == "ink"
    with pytest.raises(TextError, match=r"no column of recordings; the columns are: where, what.*task.audio_column"):
        read(clips / "own.csv")
    with pytest.raises(TextError, match=r"no column 'wher'.*did you mean 'where'"):
        read(clips / "own.csv", Columns("wher", "what"))


@pytest.mark.parametrize("packed", [False, True])
def test_the_table_of_lj_speech(clips, packed):
    text = "a|Dr. Ink, 2.|Doctor Ink, two.\nb|“Paper”\n"
    path = clips / ("metadata.csv.xz" if packed else "metadata.csv")
    path.write_bytes(lzma.compress(text.encode()) if packed else text.encode())
    one, other = read(path)
    assert (one.audio.name, one.text) == ("a.wav", "Doctor Ink, two.") and other.text == "“Paper”"
    assert other.place.endswith(":2")


def test_a_folder_of_recordings_with_texts_of_their_names(clips):
    (clips / "wavs" / "a.txt").write_text("two\n", encoding="utf-8")
    one, other = read(clips / "wavs")
    assert (one.audio.name, one.text, other.text) == ("a.wav", "two", None)
    (clips / "wavs" / "a.txt").unlink()
    with pytest.raises(TextError, match="2 recordings, of which none has a transcript"):
        read(clips / "wavs")
    (clips / "wavs" / "list.tsv").write_text("a.wav\tink\n", encoding="utf-8")
    assert [row.text for row in read(clips / "wavs")] == ["ink"]


def test_texts_beside_recordings_may_be_in_any_encoding(clips):
    (clips / "wavs" / "a.txt").write_bytes("研墨的时候，水不要太多。\n".encode("gb18030"))
    (clips / "wavs" / "b.TXT").write_bytes(b"")
    assert [row.text for row in read(clips / "wavs")] == ["研墨的时候，水不要太多。", ""]


def test_the_columns_that_are_named_count_for_the_manifest_of_a_folder(clips):
    (clips / "wavs" / "own.csv").write_text("where,what,who\na.wav,ink,x\n", encoding="utf-8")
    found = {}
    (row,) = read(clips / "wavs", Columns("where", "what", "who"), found)
    assert (row.audio.name, row.text, row.speaker) == ("a.wav", "ink", "x")
    assert found == {"recording": "where", "transcript": "what", "speaker": "who"}


def test_each_list_of_a_data_set_is_read_once(clips, monkeypatch):
    for name in ("one.tsv", "two.tsv"):
        (clips / name).write_text("audio\ttext\nwavs/a.wav\tink\n", encoding="utf-8")
    lists = {name: (f"data:set/{name}", clips / name) for name in ("one.tsv", "two.tsv")}
    monkeypatch.setattr(
        datasets, "resolve", lambda name: [own for file, own in lists.items() if name in ("set", f"set/{file}")]
    )
    assert [row.place for row in read("data:set")] == ["data:set/one.tsv:2", "data:set/two.tsv:2"]


def test_a_table_between_bars_ends_its_rows_at_line_ends_alone(clips):
    (clips / "metadata.csv").write_bytes("a|two\u2028four\r\nb|one\r\n".encode())
    assert [row.text for row in read(clips / "metadata.csv")] == ["two\u2028four", "one"]


def test_a_recording_that_is_not_there_is_listed_as_it_is_named(clips):
    (clips / "list.tsv").write_text("gone.wav\tink\n\tpaper\n", encoding="utf-8")
    assert [row.audio.name for row in read(clips / "list.tsv")] == ["gone.wav", ""]
    with pytest.raises(TextError, match="no such file or folder"):
        read(clips / "other.tsv")
