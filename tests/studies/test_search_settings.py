"""The search of settings: what may be chosen, trials that go on where they stopped, and the table that comes of it."""

import json

import pytest

from inkstone.errors import RecipeError, RunError
from inkstone.studies import search_settings as module
from inkstone.studies.search_settings import search_settings
from inkstone.studies.search_space import Choosable, choosable

FIXED = ["train.steps=4", "task.rows=8", "model.n_layers=1", "tokenizer.vocab_size=300", "train.evaluate_steps=1"]


def test_ranges_and_lists_are_read():
    assert choosable("train.learning_rate=1e-4..1e-2") == Choosable("train.learning_rate", 1e-4, 1e-2)
    assert choosable("model.width=64..128").whole and not choosable("model.width=64..128").logarithmic
    assert choosable("task.pooling=mean|max").values == ("mean", "max")
    assert choosable("task.dense=true|false").values == (True, False)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("model.width", "write it as"),
        ("model.width=128..64", "to a larger one"),
        ("model.width=a..b", "to a larger one"),
        ("model.widht=64|128", "did you mean 'width'"),
        ("task.dropout=0.1..2.0", "less than 1"),
    ],
)
def test_what_cannot_be_chosen_is_refused(text, complaint):
    with pytest.raises(RecipeError, match=complaint):
        choosable(text)


@pytest.fixture
def data(tmp_path):
    rows = "\n".join(f"the film number {n} is {'fine' if n % 2 else 'dull'},{n % 2}" for n in range(40))
    (tmp_path / "data.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    return [str(tmp_path / "data.csv")]


def test_a_search_goes_on_and_its_best_trial_is_the_best(tmp_path, data):
    how = {"choose": ["model.width=16|32", "train.learning_rate=1e-4..1e-2"], "settings": FIXED, "quiet": True}
    first = search_settings("classify", data, trials=2, out=tmp_path / "search", **how)
    assert [row["number"] for row in sorted(first["trials"], key=lambda row: row["number"])] == [0, 1]
    again = search_settings("classify", data, trials=3, out=tmp_path / "search", **how)
    assert {row["number"] for row in again["trials"]} == {0, 1, 2}
    known = {row["number"]: row["settings"] for row in first["trials"]}
    assert all(row["settings"] == known.get(row["number"], row["settings"]) for row in again["trials"])
    ended = [row["score"] for row in again["trials"] if not row["given_up"]]
    assert again["best"]["score"] == max(ended)
    assert set(again["best"]["settings"]) == {"model.width", "train.learning_rate"}
    assert json.loads((tmp_path / "search" / "search.json").read_text(encoding="utf-8")) == again
    page = (tmp_path / "search" / "search.html").read_text(encoding="utf-8")
    assert page.count('class="dot"') == 2 * 3
    with pytest.raises(RunError, match="something else"):
        search_settings("classify", data, trials=3, out=tmp_path / "search", **{**how, "choose": ["model.width=16|32"]})


def test_a_trial_that_promises_nothing_is_given_up(tmp_path, data, monkeypatch):
    scores = iter([0.9] * 4 + [0.1])
    steps = []

    def tuned(task, sources, *, out, watch, **rest):
        score = next(scores)
        for step in range(1, 4):
            steps.append(step)
            watch(step, score)
        return {"figures": {"dev": {"accuracy": {"value": score}}}, "score": "accuracy"}

    monkeypatch.setattr(module, "tune", tuned)
    table = search_settings("classify", data, trials=5, choose=["model.width=16|32"], out=tmp_path / "s", quiet=True)
    assert [row["given_up"] for row in table["trials"]] == [False] * 4 + [True]
    assert steps == [1, 2, 3] * 4 + [1]
