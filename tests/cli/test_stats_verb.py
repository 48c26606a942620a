import json
from xml.etree import ElementTree

import polars as pl
import pytest

import inkstone
from inkstone.cli import main
from inkstone.evaluation import text_statistics
from inkstone.models.hmm_tagger import train_hmm_tagger


@pytest.fixture
def text(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "a.txt").write_text("The old man walked to the sea. Did the sea know the man?\n")
    (folder / "b.txt").write_text("老人走到海边。海边有一条船！\n")
    return folder


def test_prints_a_table_and_the_next_command(text, capsys):
    assert main(["stats", str(text), "--top", "5"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "2 documents",
        "Words      21",
        "        4  the",
        "        2  the sea",
        "question 1",
        "b.txt: 海边",
        "--out stats",
    ):
        assert words in printed


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_writes_whole_tables_and_plots_that_are_xml(text, tmp_path, format, capsys):
    out = tmp_path / "out"
    assert main(["stats", str(text), "--out", str(out), "--format", format, "--json", "--no-stop-words"]) == 0
    facts = json.loads(capsys.readouterr().out)
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[format]
    words = read(out / f"words.{format}")
    assert dict(words.select("word", "count").iter_rows())["海边"] == 2 and "the" not in words["word"].to_list()
    assert facts["words"] == 21 and facts["top_words"][0][1] == 2
    assert set(read(out / f"terms.{format}")["file"]) == {str(text / "a.txt"), str(text / "b.txt")}
    assert read(out / f"ngrams.{format}")["n"].unique().to_list() == [2]
    assert read(out / f"sentence_lengths.{format}")["sentences"].sum() == 4
    for plot in ("zipf", "words", "sentence_lengths"):
        ElementTree.parse(out / f"{plot}.svg")
    assert main(["stats", str(text), "--out", str(out), "--format", format, "--quiet"]) == 0  # replaces its own


def test_processes_make_no_difference(tmp_path, monkeypatch):
    monkeypatch.setattr(text_statistics, "BATCH_BYTES", 4000)
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text(f"ink stone {number} brush paper. " * 50)
    one, two = (inkstone.stats([tmp_path], processes=n, quiet=True) for n in (1, 2))
    assert {**one, "seconds": 0} == {**two, "seconds": 0} and one["units"] == 12


def test_tags_are_counted_where_a_tagger_is_given(text, tmp_path, capsys):
    tagged = [(["The", "sea", "walked"], ["DET", "NOUN", "VERB"]), (["老人", "走"], ["NOUN", "VERB"])] * 5
    train_hmm_tagger(tagged).save(tmp_path / "tagger")
    arguments = ["stats", str(text), "--tagger", str(tmp_path / "tagger"), "--out", str(tmp_path / "out"), "--json"]
    assert main(arguments) == 0
    counts = json.loads(capsys.readouterr().out)["parts_of_speech"]
    assert set(counts) <= {"DET", "NOUN", "VERB"} and sum(counts.values()) == 21
    assert (tmp_path / "out" / "parts_of_speech.svg").exists()
    assert main(["stats", str(text), "--tagger", str(tmp_path)]) == 2
    assert "tagger" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "nowhere.txt"),
        (["{text}", "--ngrams", "0"], "1 to 9"),
        (["{text}", "--top", "0"], "top"),
        (["{text}", "--out", "{text}"], "something else"),
        (["empty.txt"], "no word"),
    ],
)
def test_what_can_be_mended_is_one_line_and_exit_code_2(text, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("... !\n")
    assert main(["stats", *(word.format(text=text) for word in arguments)]) == 2
    assert message in capsys.readouterr().err
