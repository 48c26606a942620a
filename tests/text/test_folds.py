"""Parts and folds: every row once, labels in their shares, groups whole; beside scikit-learn's folds."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.text.folds import grouped_split, k_folds

LABELS = st.lists(st.sampled_from("aaaabbc"), min_size=6, max_size=80)


def some_groups(seed: int, rows: int = 1200, groups: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Rows of groups of uneven size, whose labels lean to those of their group."""
    draw = np.random.default_rng(seed)
    group = (groups * draw.random(rows) ** 2).astype(int)
    leaning = draw.dirichlet([2.0, 1.0, 0.3], groups)
    return np.array([draw.choice(3, p=leaning[number]) for number in group]), group


@given(LABELS, st.integers(2, 5), st.integers(0, 5))
def test_folds_hold_every_row_once_and_every_label_to_within_one(labels, n_folds, seed):
    fold = k_folds(labels, n_folds, seed=seed)
    assert len(fold) == len(labels) and set(fold.tolist()) == set(range(n_folds))
    for label in set(labels):
        counts = np.bincount(fold[np.array(labels) == label], minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 1
    assert (fold == k_folds(labels, n_folds, seed=seed)).all()


@given(LABELS, st.sampled_from([0.2, 0.5, 0.75]), st.integers(0, 5))
def test_parts_hold_every_row_once_and_every_label_in_its_share(labels, share, seed):
    parts = grouped_split(labels, {"train": 1 - share, "test": share}, seed=seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    for label in set(labels):
        count = sum(labels[row] == label for row in parts["test"])
        assert abs(count - share * labels.count(label)) < 1
    assert abs(len(parts["test"]) - share * len(labels)) < 2
    assert all((np.diff(rows) > 0).all() for rows in parts.values())


@given(st.data())
def test_groups_stay_whole(data):
    labels = data.draw(LABELS)
    groups = data.draw(st.lists(st.integers(0, 30), min_size=len(labels), max_size=len(labels)))
    if len(set(groups)) < 3:
        return
    fold = k_folds(labels, 3, groups=groups) if len(set(groups)) > 20 else None
    if fold is not None:
        assert len(set(zip(groups, fold.tolist(), strict=True))) == len(set(groups))
    try:
        parts = grouped_split(labels, {"train": 0.6, "dev": 0.2, "test": 0.2}, groups=groups)
    except TextError as error:
        assert "empty" in str(error)
        return
    held = [{groups[row] for row in rows} for rows in parts.values()]
    assert sum(map(len, held)) == len(set(groups))


@pytest.mark.parametrize("seed", range(6))
def test_grouped_folds_are_as_even_as_those_of_scikit_learn(seed):
    selection = pytest.importorskip("sklearn.model_selection")
    labels, groups = some_groups(seed)

    def unevenness(fold: np.ndarray) -> float:
        """The largest relative deviation of a label's share in a fold, plus that of the fold's size."""
        shares = np.array([[np.mean(labels[fold == k] == label) for label in range(3)] for k in range(5)])
        whole = np.array([np.mean(labels == label) for label in range(3)])
        sizes = np.bincount(fold, minlength=5) / len(fold) * 5
        return float(abs(shares / whole - 1).max() + abs(sizes - 1).max())

    fold = k_folds(labels.tolist(), 5, groups=groups, seed=seed)
    for number in np.unique(groups):
        assert len(np.unique(fold[groups == number])) == 1
    theirs = np.zeros(len(labels), dtype=int)
    peer = selection.StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(peer.split(labels, labels, groups)):
        theirs[held] = number
    assert unevenness(fold) < 1.25 * unevenness(theirs) + 0.05
    careless = np.random.default_rng(seed).integers(0, 5, groups.max() + 1)[groups]
    assert unevenness(fold) < unevenness(careless)


def test_folds_without_groups_are_as_even_as_those_of_scikit_learn():
    selection = pytest.importorskip("sklearn.model_selection")
    labels = np.repeat([0, 1, 2], [97, 31, 6])
    theirs = [np.bincount(labels[held]) for _, held in selection.StratifiedKFold(4).split(labels, labels)]
    fold = k_folds(labels.tolist(), 4)
    ours = [np.bincount(labels[fold == number]) for number in range(4)]
    assert sorted(map(tuple, np.transpose(ours))) != [] and np.ptp(ours, axis=0).max() <= np.ptp(theirs, axis=0).max()


def test_several_labels_of_a_row_are_each_in_their_share():
    draw = np.random.default_rng(0)
    labels = [[name for name, p in (("a", 0.5), ("b", 0.2), ("c", 0.05)) if draw.random() < p] for _ in range(1000)]
    parts = grouped_split(labels, {"train": 0.8, "dev": 0.1, "test": 0.1}, seed=1)
    for name in "abc":
        total = sum(name in row for row in labels)
        for part, share in (("dev", 0.1), ("test", 0.1)):
            assert abs(sum(name in labels[row] for row in parts[part]) - share * total) <= 3
    assert abs(len(parts["test"]) - 100) <= 3


def test_rare_labels_do_not_all_go_to_the_largest_part():
    parts = grouped_split([f"only {row}" for row in range(100)], {"train": 0.9, "test": 0.1})
    assert len(parts["test"]) == 10


def test_another_seed_gives_another_deal():
    labels = ["a"] * 50
    assert (k_folds(labels, 5, seed=0) != k_folds(labels, 5, seed=1)).any()
    groups = np.arange(50) // 2
    assert (k_folds(labels, 5, groups=groups, seed=0) != k_folds(labels, 5, groups=groups, seed=1)).any()


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"train": 0.5, "test": 0.4}, "0.9"), ({}, "make 0"), ({"train": 1.2, "test": -0.2}, "above 0")],
)
def test_shares_that_are_none_are_refused(shares, message):
    with pytest.raises(TextError, match=message):
        grouped_split(["a"] * 10, shares)


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(TextError, match="1 folds"):
        k_folds(["a", "b"], 1)
    with pytest.raises(TextError, match="2 rows do not fill 3 folds"):
        k_folds(["a", "b"], 3)
    with pytest.raises(TextError, match="6 rows in 2 groups do not fill 3 folds"):
        k_folds(["a"] * 6, 3, groups=[0, 0, 0, 1, 1, 1])
    with pytest.raises(
        TextError, match=r"6 rows in 1 group leave the part 'test' empty .* near-duplicates, are not parted"
    ):
        grouped_split(["a"] * 6, {"train": 0.9, "test": 0.1}, groups=[0] * 6)
    with pytest.raises(TextError, match="3 labels but 2 groups"):
        k_folds(["a"] * 3, 2, groups=[0, 1])
