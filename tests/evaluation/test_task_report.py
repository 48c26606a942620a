"""The report of a tuned run: what it shows is what was recorded, in both languages, and torn facts do not stop it."""

import json
import re
from itertools import pairwise

import pytest

from inkstone.evaluation.report import report
from inkstone.recipe import Recipe
from inkstone.run import Run


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "tuned", Recipe())
    figure = {"value": 0.875, "low": 0.8, "high": 0.93}
    other = {"value": 0.9, "low": 0.85, "high": 0.95}
    figures = {"dev": {"accuracy": figure, "macro-F1": {"value": 0.71, "low": None, "high": None}}}
    yardstick = {"name": "TF–IDF", "figures": {"dev": {"accuracy": other, "macro-F1": other}}}
    part = {
        "sources": ["a<b>.csv"], "columns": {"text": "review"}, "examples": 90, "labels": {"good": 60, "bad": 30},
        "languages": {"en": 80, "zh": 9, "ro": 1}, "characters": [1, 50.0, 90, 200], "mended": {}, "files": {"a<b>.csv": "9f86d081"},
        "refused": {"the label is missing": [2, "a.csv:7", "a.csv:9"]}, "malformed": 0, "notices": ["told"],
    }  # fmt: skip
    run.record(
        data={"checksum": "x", "train": part},
        plan={"choices": [{"name": "body", "value": "encoder", "why": "for 90 examples"}]},
        training={"best_step": 4, "steps": 9},
        evaluation={"figures": figures, "yardstick": yardstick, "details": {"dev": {"calibration_error": 0.031}}},
        outcome={"task": "classify", "score": "accuracy", "examples": {"train": 90, "dev": 10}, "steps": 9},
    )
    for step in range(1, 4):
        run.log("train", step=step, seconds=float(step), nats=1.0 / step)
        run.log("held-out", step=step, seconds=float(step), accuracy=0.5 + 0.1 * step)
    return run


def test_figures_yardstick_data_and_doubts_are_shown(run):
    text = report(run.folder).read_text(encoding="utf-8")
    for wanted in (
        "87.5 %",
        "80.0 % – 93.0 %",
        "TF–IDF",
        "good 66.7%",
        "2 × the label is missing: a.csv:7, a.csv:9",
        "told",
        "3.1 %",
    ):
        assert wanted in text
    assert "a&lt;b&gt;.csv" in text and "<b>.csv" not in text.replace("<b>87.5", "")
    assert "not better than the yardstick" in text and "并不比几秒钟" in text
    assert len(re.findall(r'<path class="(?:train|held-out)" d="M[^"]+"', text)) == 2
    assert re.search(r'"bar ours".*?width:87.5%', text, re.DOTALL)


def test_what_is_only_to_be_known_does_not_stand_under_the_doubtful_rows(run):
    facts = run.facts()["data"]
    facts["train"]["encodings"] = ["1 line in another encoding"]
    run.record(data=facts)
    text = report(run.folder).read_text(encoding="utf-8")
    doubts, notices = text.index("Doubtful rows"), text.index("Also to be known")
    assert doubts < text.index("a.csv:7, a.csv:9") < text.index("1 line in another encoding") < notices
    assert notices < text.index("<li>told</li>")


def test_an_unfinished_or_torn_run_has_a_report_too(run):
    facts = json.loads((run.folder / "facts.json").read_text(encoding="utf-8"))
    del facts["outcome"], facts["evaluation"]
    facts["data"]["train"]["labels"] = ["odd"]
    (run.folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    assert "inkstone tune --resume" in report(run.folder).read_text(encoding="utf-8")
    (run.folder / "facts.json").write_text("{", encoding="utf-8")
    assert report(run.folder).exists()


def test_the_card_tells_task_labels_data_figures_and_use(run):
    report(run.folder)
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    for part in (
        "pipeline_tag: text-classification",
        "language:\n  - en\n  - zh\nlibrary",
        "A model that gives texts labels, tuned by Inkstone for the task `classify` on its owner's examples.",
        "| labels | 2: `good`, `bad` |",
        "| body | `encoder`: `for 90 examples` |",
        "**train**: 90 examples; text: `review`.",
        "| `a<b>.csv` | `9f86d081` |",
        "- 2 left out: `the label is missing`",
        "| part | figure | this model | `TF–IDF` |\n|---|---|---|---|\n",
        "| `dev` | `accuracy` | **87.5 % (80.0 to 93.0)** | 90.0 % (85.0 to 95.0) |",
        "| `dev` | `macro-F1` | **71.0 %** | 90.0 % (85.0 to 95.0) |",
        "It is not better than the simple method beside it",
        f"inkstone predict {run.folder}",
        "`dev` 上 `accuracy` **87.5 % (80.0 至 93.0)**",
        "并不比旁边的简单方法更好",
    ):
        assert part in card, part
    assert "\n\n\n" not in card and "generate" not in card
    for before, line in pairwise(card.splitlines()):
        if line.startswith("|---"):
            assert before.count("|") == line.count("|")


def test_the_card_of_an_unfinished_or_torn_run(run):
    facts = json.loads((run.folder / "facts.json").read_text(encoding="utf-8"))
    del facts["outcome"], facts["evaluation"]
    facts["data"]["train"] |= {"labels": ["odd"], "sources": 3, "notices": 4, "refused": {"torn": 5}, "files": None}
    (run.folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    report(run.folder)
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert "this run is not finished" in card and "## Use" not in card and "## Evaluation" not in card
    assert "None" not in card and "Undefined" not in card
