"""What is in a text, told within bounds: of time, of size, of what a file may do to the server."""

import json
import zipfile

import pytest

from inkstone.errors import InkstoneError, TextError
from inkstone.serving import text_inspection
from inkstone.serving.text_inspection import inspect_text, inspected

LINES = [f"The stone with the number {n} lay for {n * n} days in the water of the river." for n in range(50)]


def written(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def test_groups_of_duplicates_name_what_is_kept_and_what_goes(tmp_path):
    near = LINES[7].replace("days", "nights")
    long = " ".join(LINES[:12])
    texts = [*LINES, LINES[3], LINES[3].upper(), long, long + " And one word more.", near]
    told = inspect_text(written(tmp_path / "x.jsonl", texts), "mine.jsonl")
    groups = {group["kept"]["id"]: group for group in told["groups"]}
    same = groups["mine.jsonl#3"]
    assert same["documents"] == 3 and [copy["exact"] for copy in same["copies"]] == [True, True]
    assert same["kept"]["text"] == LINES[3] and same["copies"][0]["id"] == "mine.jsonl#50"
    (copy,) = groups["mine.jsonl#52"]["copies"]
    assert copy["id"] == "mine.jsonl#53" and not copy["exact"]
    dropped = sum(each["documents"] for each in told["dropped"])
    assert told["kept_documents"] + dropped == told["documents"] == len(texts)
    assert told["repeated"]["documents"] == sum(
        each["documents"] for each in told["dropped"] if "duplicate" in each["reason"]
    )
    assert str(tmp_path) not in json.dumps(told)


def test_tokens_are_those_of_a_tokenizer_that_is_learned(tmp_path):
    told = inspect_text(written(tmp_path / "x.jsonl", LINES), "x")
    tokens = told["tokens"]
    assert tokens["count"] == tokens["counted"] > 100  # the text is small, and all of it was counted
    assert abs(tokens["counted"] * tokens["bytes_per_token"] - told["kept_bytes"]) < 2 + 0.001 * told["kept_bytes"]
    assert sum(count for _, count in tokens["frequent"]) <= tokens["counted"] and tokens["vocabulary"] <= 8192


def test_of_a_large_text_a_part_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(text_inspection, "MOST_BYTES", 1000)
    told = inspect_text(written(tmp_path / "x.jsonl", LINES * 9), "x")
    assert told["part"]["bytes"] < told["part"]["of"] and told["documents"] < len(LINES) * 9


def test_what_grows_beyond_measure_is_not_read(tmp_path, monkeypatch):
    from inkstone.text import archives

    monkeypatch.setattr(archives, "BOMB_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "ink " * 20_000_000)
    with pytest.raises(TextError, match="like a zip bomb"):
        inspect_text(tmp_path / "x.zip", "x.zip")


def test_a_process_of_its_own_is_ended_in_time_and_its_reasons_are_told(tmp_path):
    file = written(tmp_path / "x.jsonl", LINES)
    with pytest.raises(InkstoneError, match=r"mine: looking at it took longer than 0 seconds"):
        inspected(file, "mine", seconds=0.05)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InkstoneError, match="mine: empty file"):
        inspected(tmp_path / "empty.txt", "mine")
    assert inspected(file, "--help")["documents"] == len(LINES)  # a name like an option is a name
