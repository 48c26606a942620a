"""`inkstone vectors` as a person would type it."""

import json

import pytest

from inkstone.cli import main
from inkstone.text.datasets import MIRROR
from inkstone.vectors.formats import read_vectors
from inkstone.vectors.learning import open_vectors

TEXT = "The ink is ground on the stone and the brush is dipped in the ink. 我来到北京清华大学，墨在砚台上研磨。\n"


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR, str(tmp_path / "nothing"))
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 30, encoding="utf-8")
    return path


@pytest.mark.parametrize("method", ["skip-gram", "cbow", "glove"])
def test_vectors_are_learned_and_asked(text, tmp_path, capsys, method):
    out = tmp_path / "out"
    command = ["vectors", str(text), "--out", str(out), "--method", method, "--epochs", "2", "--width", "8"]
    assert main([*command, "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert f"Next: inkstone vectors {out} --neighbours " in printed
    assert sorted(path.name for path in out.iterdir()) == ["map.svg", "vectors.bin", "vectors.json", "vectors.txt"]
    assert json.loads((out / "vectors.json").read_text(encoding="utf-8"))["method"] == method
    assert (open_vectors(out).vectors == read_vectors(out / "vectors.txt").vectors).all()

    assert main(["vectors", str(out), "--neighbours", "Ink", "--count", "3", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["neighbours"]) == 3 and facts["words"] == len(open_vectors(out))
    assert main(["vectors", str(out / "vectors.txt"), "--analogy", "ink", "stone", "brush"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_the_same_seed_gives_the_same_files(text, tmp_path, capsys):
    contents = []
    for name in ("a", "b"):
        main(["vectors", str(text), "--out", str(tmp_path / name), "--epochs", "1", "--threads", "1", "--quiet"])
        contents.append([(tmp_path / name / file).read_bytes() for file in ("vectors.bin", "vectors.txt", "map.svg")])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "1", "--epochs", "2"], "not both"),
        (["--minutes", "0"], "above 0"),
        (["--width", "0"], "width 0"),
        (["--min-count", "9999"], "--min-count"),
        (["--neighbours", "ink"], "cannot be read|first line"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(text, tmp_path, capsys, words, message):
    assert main(["vectors", str(text), "--out", str(tmp_path / "out"), *words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("inkstone: ")]
    assert __import__("re").search(message, line)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_not_replaced(text, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert main(["vectors", str(text), "--out", str(tmp_path / "mine")]) == 2
    assert "another folder" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").exists()
