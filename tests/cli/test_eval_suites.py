"""`inkstone eval --suite` as a person types it."""

import json

import pytest

from evaluation.tiny_runs import make_run
from inkstone.cli import main
from inkstone.cli.suite_table import table
from inkstone.run import Run

FIGURES = {
    "run": "runs/demo",
    "window": 256,
    "share": 1.0,
    "seconds": 62.0,
    "suites": {
        "blimp": {
            "kind": "pairs", "items": 6700, "acc": 0.6124, "acc_low": 0.6, "acc_high": 0.62, "chance": 0.5,
            "fields": {"morphology": 0.7, "syntax": 0.52}, "paradigms": {"a": 0.7, "b": 0.5},
        },
        "arc_easy": {
            "kind": "choices", "items": 2376, "acc": 0.31, "acc_low": 0.29, "acc_high": 0.33, "acc_norm": 0.2951,
            "acc_bytes": 0.3, "chance": 0.25,
        },
        "lambada": {
            "kind": "last word", "items": 3, "acc": 0.0, "acc_low": None, "acc_high": None, "chance": 0.0,
            "perplexity": 1234.5,
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory) -> Run:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def own(tmp_path) -> str:
    path = tmp_path / "own.jsonl"
    lines = [{"sentence_good": f"ink {n} dries.", "sentence_bad": f"ink {n} dry."} for n in range(8)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return str(path)


def test_the_table_is_what_a_person_reads():
    assert table(FIGURES).splitlines() == [
        "              items    acc   95 % interval  acc_norm  chance",
        "blimp         6,700  0.612  0.600 to 0.620             0.500  mean of 2 paradigms",
        "  morphology         0.700",
        "  syntax             0.520",
        "arc_easy      2,376  0.310  0.290 to 0.330     0.295   0.250",
        "lambada           3  0.000                             0.000  perplexity of the word 1,234",
        "",
        "  window 256 tokens; 1m02s",
        "",
        "next: inkstone eval --suite list",
    ]


def test_a_part_says_so_and_what_the_figure_is_where_it_is_another():
    suite = {**FIGURES["suites"]["blimp"], "likelihood": "pseudo-log-likelihood"}
    words = table({**FIGURES, "share": 0.1, "window": None, "suites": {"blimp": suite}})
    assert "each text read through; 10% of the items" in words and "paradigms, pseudo-log-likelihood" in words
    assert words.endswith("next: inkstone eval runs/demo --suite blimp")


def test_a_file_is_scored_and_shown(tiny_run, own, capsys):
    assert main(["eval", str(tiny_run.folder), "--suite", own]) == 0
    assert f"{own}      8" in capsys.readouterr().out
    assert main(["eval", str(tiny_run.folder), "--suite", own, "--json", "--share", "0.5"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["suites"][own]["items"] == 4


def test_the_list_needs_no_run(capsys):
    assert main(["eval", "--suite", "list"]) == 0
    out = capsys.readouterr().out
    assert "blimp" in out and "winograd" in out and "next: inkstone eval RUN --suite blimp" in out
    assert main(["eval", "--suite", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suites"]["copa"]["source"] == "data:eval-mc-en/copa.jsonl"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eval"], "name what to score"),
        (["eval", "--suite", "blimp"], "name what to score: inkstone eval RUN --suite blimp"),
        (["eval", "RUN", "--suite", "blmp"], "did you mean 'blimp'"),
        (["eval", "RUN", "a.txt", "--suite", "blimp"], "not both"),
        (["eval", "RUN", "--suite", "blimp", "--share", "2"], "--share 2.0 is not a share"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(tiny_run, capsys, words, message):
    assert main([str(tiny_run.folder) if word == "RUN" else word for word in words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("inkstone: ") and message in error[-1]
