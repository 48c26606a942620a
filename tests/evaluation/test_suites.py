"""The table of suites and the function behind `eval --suite`; the suites themselves on the mirror."""

import json
from collections import Counter

import pytest

import inkstone
from inkstone.errors import TextError
from inkstone.evaluation.suites import SUITES, eval_suites, items_of
from inkstone.hub.folder import load
from inkstone.text import datasets

SIZES = {
    "blimp": 6700, "lambada": 5153, "hellaswag": 1000, "arc_easy": 2376, "arc_challenge": 1172, "openbookqa": 500,
    "piqa": 1838, "winogrande": 1267, "copa": 100, "winograd": 273,
}  # fmt: skip


@pytest.fixture
def own_file(tmp_path) -> str:
    records = [
        {"query": f"{number} stones and", "choices": ["ink", "墨 on paper", "water"], "gold": number % 3}
        for number in range(20)
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return str(path)


def test_a_run_is_scored_on_a_file_of_ones_own(tiny_run, own_file):
    figures = eval_suites(tiny_run.folder, [own_file])
    assert figures["run"] == str(tiny_run.folder) and figures["window"] == 64
    suite = figures["suites"][own_file]
    assert suite["items"] == 20 and suite["chance"] == pytest.approx(1 / 3)
    again = eval_suites(load(tiny_run.folder), [own_file])["suites"][own_file]
    assert {**again, "seconds": 0} == {**suite, "seconds": 0}
    json.dumps(figures)


def test_a_share_takes_evenly_spaced_items(own_file):
    whole = items_of(own_file)
    assert items_of(own_file, 0.2) == [whole[i] for i in (2, 7, 12, 17)]
    assert items_of(own_file, 0.001) == [whole[10]]
    assert items_of(own_file, 1.0) == whole


def test_an_unknown_name_names_the_nearest(tiny_run):
    with pytest.raises(TextError, match=r"no suite 'blimps' and no such file; did you mean 'blimp'\?"):
        eval_suites(tiny_run.folder, ["blimps"])


def test_data_that_are_not_here_are_named(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    with pytest.raises(TextError, match=r"data:eval-blimp/blimp-first100\.jsonl: INKSTONE_DATA=.* has no file"):
        eval_suites(tiny_run.folder, ["blimp"])


def test_records_of_hellaswag_lose_the_marks_of_wikihow():
    record = {
        "question": "[header] How to grind ink [title] Find a stone. [step] Wash it.",
        "choices": {"A": "[title] Dry it. [step] Wait.", "B": "Pour  water.", "C": "Sleep.", "D": "Go."},
        "answer": "B",
    }
    assert SUITES["hellaswag"].prepare(record) == {
        "query": "How to grind ink. Find a stone. Wash it.",
        "choices": ["Dry it. Wait.", "Pour water.", "Sleep.", "Go."],
        "gold": 1,
    }


def test_the_public_name():
    assert inkstone.eval_suites is eval_suites


@pytest.mark.data
def test_every_suite_is_read_from_the_mirror_and_scored(data_mirror, tiny_run):
    assert SUITES.keys() == SIZES.keys()
    for name in SUITES:
        items = items_of(name)
        assert len(items) == SIZES[name]
        assert all(0 <= item.gold < len(item.options) for item in items)
        for context, continuation in items[3].options:
            assert continuation.strip() and context == context.rstrip(" ")
    assert Counter(len(set(item.options)) for item in items_of("arc_easy")).most_common(1)[0][0] == 4
    blimp = items_of("blimp")
    assert {item.field for item in blimp} == {"morphology", "syntax", "semantics", "syntax_semantics"}
    assert set(Counter(item.paradigm for item in blimp).values()) == {100} and len({i.paradigm for i in blimp}) == 67
    question = items_of("piqa")[0].options[0][0]
    assert question == "Question: How do I ready a guinea pig cage for it's new occupants?\nAnswer:"
    figures = eval_suites(tiny_run.folder, list(SUITES), share=0.003)["suites"]
    for name, suite in figures.items():
        assert 0 <= suite["acc"] <= 1 and suite["items"] == max(1, round(0.003 * SIZES[name]))
    assert figures["lambada"]["perplexity"] > 256  # a fresh model of bytes is all but uniform
