"""Splits and folds: every row once, labels in their shares, groups whole; shares held against scikit-learn's own folds."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.model_selection import StratifiedKFold

from inkstone.errors import TextError
from inkstone.text.folds import grouped_split, k_folds

rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=12, max_size=80)


@settings(max_examples=50)
@given(rows, st.integers(2, 4), st.integers(0, 3))
def test_every_row_is_in_one_fold_and_no_group_in_two(rows, folds, seed):
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    if len(set(groups)) < folds:
        return
    fold = k_folds(labels, folds, groups=groups, seed=seed)
    assert set(fold.tolist()) == set(range(folds))
    assert all(len({int(f) for f, g in zip(fold, groups, strict=True) if g == group}) == 1 for group in set(groups))


def test_folds_are_as_stratified_as_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.choice([*"aaaaaabbc"], 233).tolist()
    fold = k_folds(labels, 5, seed=1)
    theirs = np.zeros(len(labels), dtype=int)
    for number, (_, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels)):
        theirs[test] = number
    for label in "abc":
        ours, other = (np.bincount(each[np.array(labels) == label], minlength=5) for each in (fold, theirs))
        assert ours.max() - ours.min() <= max(1, other.max() - other.min())


def test_parts_have_their_shares_of_rows_and_labels():
    labels = ["rare" if n % 10 == 0 else "common" for n in range(400)]
    parts = grouped_split(labels, {"train": 0.8, "dev": 0.1, "test": 0.1}, seed=3)
    assert sorted(np.concatenate([*parts.values()]).tolist()) == list(range(400))
    assert [len(parts[name]) for name in ("train", "dev", "test")] == [320, 40, 40]
    assert [sum(labels[row] == "rare" for row in parts[name]) for name in ("train", "dev", "test")] == [32, 4, 4]
    again = grouped_split(labels, {"train": 0.8, "dev": 0.1, "test": 0.1}, seed=3)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(TextError):
        k_folds([*"aabb"], 1)
    with pytest.raises(TextError, match="groups"):
        k_folds([*"aabb"], 3, groups=[0, 0, 1, 1])
    with pytest.raises(TextError):
        grouped_split([*"aabb"], {"train": 0.9, "dev": 0.3})
