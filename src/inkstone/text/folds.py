"""Examples dealt out to parts or folds: each label in its share everywhere, each group whole on one side.

A group is what must not be torn apart: duplicates of one text (`text/leaks.py`), texts of one writer, lines of one file. Groups
of several rows are dealt first, the largest ones foremost, each to where it brings the counts of its labels nearest
to their shares; single rows then fill what is left, label by label. So single rows alone are dealt exactly, to within one row of
each label, and groups as well as their sizes let them. A row may have several labels, which bind it like a group, or none.
Every draw comes from the seed.

Sources: Kohavi 1995 for stratified folds; the greedy deal of groups is that of scikit-learn's StratifiedGroupKFold.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np

from inkstone.errors import TextError

ALL = -1  # the column of all rows, beside those of the labels

Label = Hashable | Collection[Hashable]  # one label, or a list or set of several


def grouped_split(
    labels: Sequence[Label],
    shares: Mapping[str, float],
    *,
    groups: Sequence[Hashable] | np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The numbers of the rows of each part, ascending; the parts have these shares of the rows.

    `labels` say what is to be in its share everywhere (the same for all rows: nothing); `groups` names the group of each row.
    Raises TextError for shares that are no shares, and where there are too few groups to give each part one.

    >>> {part: len(rows) for part, rows in grouped_split([*"aaaabb"], {"train": 0.5, "test": 0.5}).items()}
    {'train': 3, 'test': 3}
    """
    total = sum(shares.values())
    if not shares or any(not share > 0 for share in shares.values()) or abs(total - 1) > 1e-6:
        raise TextError(f"the shares {dict(shares)} must each be above 0 and make 1 together; they make {total:g}")
    part = _deal(labels, [share / total for share in shares.values()], groups, seed)
    found = {name: np.flatnonzero(part == number) for number, name in enumerate(shares)}
    empty = [name for name, rows in found.items() if not len(rows)]
    if empty:
        raise TextError(
            f"{_of_groups(labels, groups)} leave the part {empty[0]!r} empty at a share of {shares[empty[0]]:g}"
            + ("" if groups is None else " (rows that belong together, such as near-duplicates, are not parted)")
            + "; give it more, give more examples, or (--dev, --test) a file of its own"
        )
    return found


def k_folds(
    labels: Sequence[Label],
    n_folds: int,
    *,
    groups: Sequence[Hashable] | np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The fold, from 0, of each row: learn where it is not k, score where it is.

    Raises TextError for fewer than two folds, and for more than there are groups.

    >>> np.bincount(k_folds([*"aaaabb"], 2)).tolist()
    [3, 3]
    """
    if n_folds < 2:
        raise TextError(f"{n_folds} folds; there must be 2 at least, one to learn from and one to score on")
    fold = _deal(labels, [1 / n_folds] * n_folds, groups, seed)
    if len(np.unique(fold)) < n_folds:
        raise TextError(f"{_of_groups(labels, groups)} do not fill {n_folds} folds; ask for fewer")
    return fold


def _deal(
    labels: Sequence[Label], shares: Sequence[float], groups: Sequence[Hashable] | np.ndarray | None, seed: int
) -> np.ndarray:
    """The part of each row."""
    if groups is not None and len(groups) != len(labels):
        raise TextError(f"{len(labels):,} labels but {len(groups):,} groups; name the group of every row")
    generator = np.random.default_rng(seed)
    names = [_label_set(label) for label in labels]
    places: dict[Hashable, int] = {}
    rows = [[places.setdefault(name, len(places)) for name in label] for label in names]
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, group in enumerate(range(len(labels)) if groups is None else groups):
        members[group].append(row)
    bound: list[list[int]] = []
    alone: dict[int, list[int]] = defaultdict(list)  # the single rows of each label
    for group in members.values():
        if len(group) > 1 or len(rows[group[0]]) > 1:
            bound.append(group)
        else:
            alone[rows[group[0]][0] if rows[group[0]] else ALL].append(group[0])

    ledger = _Ledger(rows, len(places), shares)
    part = np.zeros(len(labels), dtype=np.int64)
    for chosen in sorted(generator.permutation(len(bound)).tolist(), key=lambda number: -len(bound[number])):
        part[bound[chosen]] = ledger.take(bound[chosen])
    for label in sorted(alone, key=lambda label: (label == ALL, -len(alone[label]))):
        quota = ledger.quota(label, len(alone[label]))
        part[generator.permutation(alone[label])] = np.repeat(np.arange(len(shares)), quota)
    return part


class _Ledger:
    """How many rows of each label, and of all, each part still lacks."""

    def __init__(self, rows: list[list[int]], n_labels: int, shares: Sequence[float]) -> None:
        self.rows = rows
        counts = np.bincount([label for row in rows for label in row], minlength=n_labels)
        counts = np.append(counts, len(rows))  # the last is that of all rows
        self.lacking = np.outer(shares, counts)
        self.weight = 1 / np.maximum(counts, 1)  # a row of a rare label weighs more

    def take(self, group: list[int]) -> int:
        """Deal a group to the part where Σ (what is lacking)² falls most."""
        labels, counts = np.unique([label for row in group for label in self.rows[row]], return_counts=True)
        labels, counts = np.append(labels, ALL).astype(np.int64), np.append(counts, len(group))
        change = counts * (counts - 2 * self.lacking[:, labels]) * self.weight[labels]
        part = int(change.sum(axis=1).round(12).argmin())
        self.lacking[part, labels] -= counts
        return part

    def quota(self, label: int, count: int) -> np.ndarray:
        """How many of `count` single rows of a label, or of none, each part gets, to within one of what it lacks."""
        want = np.maximum(self.lacking[:, label], 0)
        want *= count / want.sum()
        quota = np.floor(want + 1e-9).astype(np.int64)
        over = want - quota > 1e-9  # a rest that is shared out by what is lacking in all
        order = np.lexsort((-(self.lacking[:, ALL] - quota), ~over))
        quota[order[: count - quota.sum()]] += 1
        for column in {label, ALL}:
            self.lacking[:, column] -= quota
        return quota


def _label_set(label: Label) -> list[Hashable]:
    if isinstance(label, set | frozenset):
        return sorted(label, key=repr)  # the order of a set is another in every process
    if isinstance(label, list | tuple):
        return list(dict.fromkeys(label))
    return [label]  # pyright: ignore[reportReturnType]


def _of_groups(labels: Sequence[Label], groups: Sequence[Hashable] | np.ndarray | None) -> str:
    if groups is None:
        return f"{len(labels):,} rows"
    number = len(set(groups))
    return f"{len(labels):,} rows in {number:,} group{'s' * (number != 1)}"
