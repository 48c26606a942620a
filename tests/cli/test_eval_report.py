"""`inkstone eval` and `inkstone report` as a person types them."""

import json

import pytest

from evaluation.golden_facts import golden_run
from evaluation.tiny_runs import make_run
from inkstone.cli import main
from inkstone.cli.eval_verb import table
from inkstone.run import Run

FIGURES = {
    "run": "runs/demo",
    "text": "held-out",
    "bits_per_byte": 1.8423,
    "low": 1.80,
    "high": 1.88,
    "confidence": 0.95,
    "interval_over": "documents",
    "interval_units": 132,
    "perplexity_token": 12.31,
    "perplexity_word": 2104.6,
    "perplexity_character": 3.61,
    "tokens": 61204,
    "bytes": 240_113,
    "documents": 132,
    "window": 256,
    "stride": 128,
    "share": 1.0,
    "seconds": 3.21,
    "yardsticks": {
        "xz -9e": 2.54,
        "xz -9e after training text": 2.16,
        "zstd -19": 2.57,
        "zstd -19 after training text": 2.18,
        "held_out_bytes": 240_113,
        "train_bytes": 3_000_000,
        "sampled": True,
    },
}


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Run:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


def test_the_table_is_what_a_person_reads():
    assert table(FIGURES).splitlines() == [
        "runs/demo on its own held-out text: 132 documents, 240 kB, 61.2 k tokens",
        "",
        "  bits per byte      1.842   95% between 1.800 and 1.880 (bootstrap over 132 documents)",
        "  perplexity          12.3   a token;  2,105 a word;  3.61 a character",
        "",
        "  yardsticks         alone   having seen the training text",
        "  xz -9e             2.540   2.160",
        "  zstd -19           2.570   2.180",
        "  (yardsticks on a sample: 240 kB, after 3 MB of training text)",
        "",
        "  window 256 tokens, 128 counted in each; 3.2s",
        "",
        "next: inkstone eval runs/demo TEXT",
    ]


def test_the_table_without_an_interval_or_yardsticks():
    words = table(
        {**FIGURES, "low": None, "high": None, "yardsticks": {}, "text": ["a.txt"], "share": 0.5, "documents": 1}
    )
    assert "on a.txt: 1 document," in words
    assert "too little text for an interval" in words and "yardsticks" not in words
    assert "50% of the text" in words
    assert words.endswith('next: inkstone generate runs/demo "..."')


def test_eval_prints_the_table_and_json(tiny_run, capsys):
    assert main(["eval", str(tiny_run.folder), "--no-yardsticks"]) == 0
    out = capsys.readouterr().out
    assert "bits per byte" in out and out.rstrip().endswith("TEXT")
    assert main(["eval", str(tiny_run.folder), "--json", "--share", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)["share"] == 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eval", "RUN", "missing.txt"], "missing.txt"),
        (["eval", "no-such-run"], "no-such-run"),
        (["eval", "RUN", "--share", "0"], "--share 0.0 is not a share"),
        (["eval", "RUN", "--stride", "900"], "stride = 900"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(tiny_run, capsys, words, message):
    assert main([str(tiny_run.folder) if word == "RUN" else word for word in words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("inkstone: ") and message in error[-1]


def test_report_writes_both_files_and_says_where(tmp_path, capsys):
    run = golden_run(tmp_path / "run")
    assert main(["report", str(run.folder)]) == 0
    out = capsys.readouterr().out
    assert str(run.folder / "report.html") in out and str(run.folder / "README.md") in out
    assert main(["report", str(run.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(run.folder / "report.html")


def test_report_of_no_run_is_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err
