"""Files and folders appear whole or not at all, whatever happens in between."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from inkstone import files
from inkstone.files import clear_unfinished, sha256, whole_file, whole_folder, write_json, write_text, writing_fault


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with whole_file(path) as part:
        part.write_text("ink")
        assert not path.exists() and part.parent == path.parent
    assert path.read_text() == "ink" and names(path.parent) == ["a.txt"]


def test_when_the_block_fails_the_old_file_stays_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as part:
        part.write_text("new")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "folder"
    with whole_folder(path) as part:
        (part / "inner").mkdir()
        (part / "inner" / "a").write_text("1")
        assert not path.exists()
    assert (path / "inner" / "a").read_text() == "1" and names(tmp_path) == ["folder"]


def test_an_older_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("1")
    with whole_folder(path) as part:
        (part / "new").write_text("2")
    assert names(path) == ["new"] and names(tmp_path) == ["folder"]


@pytest.mark.parametrize("failing", ["block", "fsync", "first rename", "second rename"])
def test_when_it_fails_the_older_folder_stays(tmp_path, monkeypatch, failing):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("1")
    replace, calls = os.replace, []

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def counted(*paths):
        calls.append(paths)
        return full() if len(calls) == (1 if failing == "first rename" else 2) else replace(*paths)

    if failing == "fsync":
        monkeypatch.setattr(files.os, "fsync", full)
    if "rename" in failing:
        monkeypatch.setattr(files.os, "replace", counted)
    with pytest.raises(OSError), whole_folder(path) as part:
        (part / "new").write_text("2")
        if failing == "block":
            full()
    assert names(path) == ["old"] and names(tmp_path) == ["folder"]


def test_everything_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(files.os, "replace", lambda a, b: (order.append("named"), replace(a, b)))
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell which file is synced")
    with whole_folder(tmp_path / "folder") as part:
        (part / "inner").mkdir()
        (part / "inner" / "a").write_text("1")
        (part / "b").write_text("2")
    before = order[: order.index("named")]
    for name in ("inner", "inner/a", "b", ""):
        assert str(part / name).rstrip("/") in before
    assert order[-1] == str(tmp_path)


def test_what_a_killed_process_left_is_cleared_and_nothing_else(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".a.txt.x1y2z3.part").write_text("half")
    (tmp_path / ".shards.abc.part").mkdir()
    (tmp_path / ".shards.abc.part" / "f").write_text("half")
    for keep in (".gitignore", "a.part", "b.old", ".notes"):
        (tmp_path / keep).write_text("mine")
    (tmp_path / ".replaced.old").mkdir()  # killed after the new folder got its name
    (tmp_path / "replaced").mkdir()
    (tmp_path / ".lost.old").mkdir()  # killed before it
    (tmp_path / ".lost.old" / "f").write_text("whole")
    clear_unfinished(tmp_path)
    assert names(tmp_path) == [".gitignore", ".notes", "a.part", "b.old", "lost", "replaced", "sub"]
    assert names(tmp_path / "sub") == [] and (tmp_path / "lost" / "f").read_text() == "whole"


def test_text_and_json_are_utf_8_with_plain_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "墨\n砚\n")
    write_json(tmp_path / "a.json", {"墨": [1, None]})
    assert (tmp_path / "a.txt").read_bytes() == "墨\n砚\n".encode()
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"墨": [1, None]}
    assert "墨".encode() in (tmp_path / "a.json").read_bytes()
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


@given(st.binary(max_size=5000))
def test_the_digest_is_that_of_the_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("digest") / "f"
    path.write_bytes(data)
    told = []
    assert sha256(path, told.append) == hashlib.sha256(data).hexdigest() and sum(told) == len(data)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("2000 requested and 300 written"), "2000 requested and 300 written"),
        (
            ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "No space left on device",
        ),
        (ValueError("parquet: underlying IO error: Read-only file system (os error 30)"), "Read-only file system"),
        (ValueError("something else"), None),
        (KeyError("weights"), None),
    ],
)
def test_why_a_file_could_not_be_written(error, reason):
    assert writing_fault(error) == reason
