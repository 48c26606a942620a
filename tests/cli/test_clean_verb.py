import json

import pytest

from inkstone.cli import main


@pytest.fixture
def text(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "a.txt").write_text("The old man and the boy walked down to the sea with their nets.\n" * 3)
    (folder / "b.txt").write_text("The old man and the boy walked down to the SEA with their nets.\n" * 3)
    (folder / "c.txt").write_text("老人和孩子带着渔网走到海边，看见远方的船慢慢靠近。\n")
    (folder / "d.txt").write_text("0 1 2 3 4 5 6 7 8 9\n" * 10)
    return folder


def test_prints_what_was_dropped_and_the_next_command(text, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["clean", str(text), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "Kept 2 of 4 documents",
        "duplicate",
        "mostly digits",
        "b.txt#0",
        "zh",
        "en",
        f"inkstone train {out}",
    ):
        assert words in printed
    assert (out / "text-00000.parquet").exists()


def test_json_holds_the_same_facts(text, tmp_path, capsys):
    assert (
        main(["clean", str(text), "--out", str(tmp_path / "out"), "--json", "--language", "zh", "--format", "jsonl"])
        == 0
    )
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["kept_documents"] == 1 and facts["dropped"]["language: en"]["documents"] == 1
    assert captured.err == ""


def test_lines_in_another_encoding_are_told_with_their_files(tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    sentence = "老人和孩子带着渔网走到海边，看见远方的船慢慢靠近。"
    for name, number in (("a.txt", 3), ("b.txt", 1)):
        rows = [f"第{at}天，{sentence}".encode("gb18030") for at in range(9)]
        rows[4 : 4 + number] = [f"第{at}夜，{sentence}".encode() for at in range(number)]
        (folder / name).write_bytes(b"\n".join(rows))
    (folder / "c.txt").write_bytes(f"{sentence}\n{sentence}".encode()[:-4] + b"\xff")
    told = (
        f"  4 lines in another encoding than their file, each read as what it is ({folder}/a.txt:5, {folder}/b.txt:5, "
        f"{folder}/a.txt:6, {folder}/a.txt:7)\n"
    )
    assert main(["clean", str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert told in said and f"unknown to the encoding, now U+FFFD (first in {folder}/c.txt:2)\n" in said
    assert main(["clean", str(folder), "--out", str(tmp_path / "out"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["lines_otherwise"] == 4 and facts["otherwise_at"][:2] == [f"{folder}/a.txt:5", f"{folder}/b.txt:5"]
    assert facts["bytes_replaced"] and facts["replaced_at"] == [f"{folder}/c.txt:2"]
    assert json.loads((tmp_path / "out" / ".cleaning" / "report.json").read_text())["lines_otherwise"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt", "--out", "out"], "nowhere.txt"),
        (["{text}", "--out", "{text}"], "something else"),
        (["{text}", "--out", "out", "--threshold", "7"], "threshold"),
        (["{text}", "--out", "out", "--min-characters", "-1"], "characters"),
        (["{text}", "--out", "out", "--processes", "-2"], "processes"),
        (["{text}", "--out", "out", "--language", "english"], "ISO 639"),
    ],
)
def test_what_can_be_mended_is_one_line_and_exit_code_2(text, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in text.iterdir())
    assert main(["clean", *(argument.format(text=text) for argument in arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and error.startswith("inkstone: ") and "\n" not in error
    assert not (tmp_path / "out").exists() and sorted(path.name for path in text.iterdir()) == before
