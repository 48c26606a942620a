import json

import pytest

from inkstone.cli import main


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "de.txt").write_text("das Haus\ndas Buch\nein Buch\n")
    (tmp_path / "en.txt").write_text("the house\nThe book\na book\n")
    (tmp_path / "gold.txt").write_text("0-0 1-1\n0-0 1-1\n0?0 1-1\n")
    return tmp_path


def test_links_are_written_and_measured(files, capsys):
    assert main(["align", "de.txt", "en.txt", "--out", "links.txt", "--gold", "gold.txt", "--iterations", "20"]) == 0
    assert (files / "links.txt").read_text() == "0-0 1-1\n" * 3
    printed = capsys.readouterr().out
    for words in ("6 links in 3 pairs", "alignment error rate 0.0%", "buch: book", "links.txt", "Next: inkstone align"):
        assert words in printed


def test_segmented_text_is_written_beside(files, capsys):
    (files / "zh.txt").write_text("我们来到北京。\n我们学习。\n", encoding="utf-8")
    (files / "en.txt").write_text("We came to Beijing.\nWe study.\n")
    assert main(["align", "zh.txt", "en.txt", "--out", "links.txt", "--segment", "--json", "--model", "1"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["pairs"] == 2 and facts["target_words"] == 6
    assert (files / "links.txt.source").read_text(encoding="utf-8") == "我们 来到 北京\n我们 学习\n"
    assert (files / "links.txt.target").read_text() == "We came to Beijing\nWe study\n"
    assert len((files / "links.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"en.txt": "the house\n"}, "3 lines"),
        ({"gold.txt": "0-0\n"}, "1 lines, the text 3"),
        ({"gold.txt": "0-0\nx\n\n"}, "gold.txt:2"),
        ({"de.txt": "\n\n\n"}, "empty"),
    ],
)
def test_what_can_be_mended_is_one_line_and_exit_code_2(files, capsys, change, message):
    for name, text in change.items():
        (files / name).write_text(text)
    assert main(["align", "de.txt", "en.txt", "--out", "links.txt", "--gold", "gold.txt"]) == 2
    assert message in capsys.readouterr().err and not (files / "links.txt").exists()
