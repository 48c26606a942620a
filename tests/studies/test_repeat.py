"""Folds, seeds, learning curves: every example scored once by a model that has not seen it, and studies that go on."""

import json
import time

import pytest

from inkstone import tune
from inkstone.errors import RecipeError
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.tasks.labelled import Labelled
from inkstone.tasks.parts import fold_of, groups_of, kept_aside

SETTINGS = ["train.steps=3", "task.rows=8", "model.width=16", "model.n_layers=1", "tokenizer.vocab_size=300"]


def example(number, text=None, label=None, group=None):
    return Labelled(
        f"f:{number}",
        text or f"a wholly different text of number {number * 7919}",
        None,
        (label or "ab"[number % 2],),
        group,
    )


def test_folds_share_no_example_and_keep_groups_and_duplicates_together():
    examples = [example(n, group=f"g{n // 4}") for n in range(40)]
    examples += [example(100 + n, "the very same words stand here, one after another, in each", "a") for n in range(3)]
    tested = []
    for number in range(1, 5):
        train, test = fold_of(examples, Recipe.model_validate({"task": {"fold": f"{number}/4"}}))
        assert len(train) + len(test) == len(examples)
        assert not {e.group for e in train} & {e.group for e in test} - {None}
        assert not {e.text for e in train} & {e.text for e in test}
        tested += [e.place for e in test]
    assert sorted(tested) == sorted(e.place for e in examples)


def test_what_is_kept_aside_has_the_labels_in_their_shares():
    examples = [example(n, label="rare" if n % 5 == 0 else "common") for n in range(200)]
    _, dev = kept_aside(examples, Recipe())
    assert len(dev) == 20 and sum(e.labels == ("rare",) for e in dev) == 4
    again = kept_aside(examples, Recipe.model_validate({"train": {"seed": 9}}))[1]
    assert [e.place for e in again] == [e.place for e in dev]  # another seed of training splits alike


def test_groups_join_what_their_names_and_their_texts_join():
    same = "the very same words stand here, one after another, in each"
    group = groups_of([example(1, group="x"), example(2, same, group="x"), example(3, same), example(4)])
    assert group[0] == group[1] == group[2] != group[3]


@pytest.mark.parametrize("fold", ["0/3", "4/3", "2", "a/b"])
def test_a_fold_that_is_none_is_refused(fold):
    with pytest.raises(RecipeError, match="write it as 2/5"):
        fold_of([example(n) for n in range(9)], Recipe.model_validate({"task": {"fold": fold}}))


@pytest.fixture
def data(tmp_path):
    words = ["fine", "dull"]
    rows = [f"film {n} of the year {n * 7919 % 1000} is {words[n % 2]},{n % 2}" for n in range(48)]
    (tmp_path / "data.csv").write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
    return [str(tmp_path / "data.csv")]


def test_cross_validation_scores_every_example_once(tmp_path, data):
    table = tune("classify", data, folds=3, settings=SETTINGS, out=tmp_path / "study", quiet=True)
    assert [row["name"] for row in table["rows"]] == ["fold-1", "fold-2", "fold-3"]
    tested = [row["examples"]["test"] for row in table["rows"]]
    assert sum(tested) == 48
    right = sum(row["figures"]["accuracy"]["value"] * n for row, n in zip(table["rows"], tested, strict=True))
    assert table["together"]["accuracy"]["value"] == pytest.approx(right / 48)
    assert json.loads((tmp_path / "study" / "study.json").read_text(encoding="utf-8")) == table
    before = (tmp_path / "study" / "fold-2" / "model.safetensors").stat().st_mtime_ns
    assert tune("classify", data, folds=3, settings=SETTINGS, out=tmp_path / "study", quiet=True) == table
    assert (tmp_path / "study" / "fold-2" / "model.safetensors").stat().st_mtime_ns == before
    assert "交叉验证" in (tmp_path / "study" / "study.html").read_text(encoding="utf-8")


def test_seeds_differ_in_their_draws_and_the_curve_in_its_examples(tmp_path, data):
    quick = [*SETTINGS, "task.yardstick=false"]
    table = tune("classify", data, seeds=2, settings=quick, out=tmp_path / "seeds", quiet=True)
    weights = [(tmp_path / "seeds" / f"seed-{n}" / "model.safetensors").read_bytes() for n in (0, 1)]
    assert weights[0] != weights[1] and len(table["rows"]) == 2
    curve = tune("classify", data, learning_curve=True, settings=SETTINGS, out=tmp_path / "curve", quiet=True)
    assert [row["examples"]["train"] for row in curve["rows"]] == [5, 11, 22, 43]
    assert {row["examples"]["dev"] for row in curve["rows"]} == {5}
    assert curve["rows"][0]["yardstick"]["accuracy"]["value"] <= 1
    assert 'class="level"' in (tmp_path / "curve" / "study.html").read_text(encoding="utf-8")


def test_each_repetition_has_the_minutes_from_its_own_beginning(tmp_path, data):
    quick = [each for each in SETTINGS if "steps" not in each] + ["task.yardstick=false"]
    long_ago = time.perf_counter() - 3600
    table = tune(
        "classify", data, seeds=2, minutes=0.15, settings=quick, out=tmp_path / "seeds", quiet=True, began=long_ago
    )
    assert all(row["seconds"] < 60 for row in table["rows"])


def test_altered_copies_are_learned_from(tmp_path, data):
    settings = [*SETTINGS, "task.augment=2", "train.steps=30", "task.yardstick=false"]
    tune("classify", data, settings=settings, out=tmp_path / "run", quiet=True)
    training = Run(tmp_path / "run").facts()["training"]
    assert training["epochs"] == pytest.approx(30 / -(-43 * 3 // 8), rel=0.1)


def test_studies_exclude_each_other(tmp_path, data):
    with pytest.raises(RecipeError, match="one at a time"):
        tune("classify", data, folds=2, seeds=2, out=tmp_path / "s", quiet=True)
    with pytest.raises(RecipeError, match="two folds at least"):
        tune("classify", data, folds=1, out=tmp_path / "s", quiet=True)
