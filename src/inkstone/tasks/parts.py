"""The parts of a data set: to learn from, to choose by, and to be scored on once; none may hold what another holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from inkstone.errors import RecipeError, TextError
from inkstone.recipe import Recipe
from inkstone.tasks.base import Task
from inkstone.tasks.understanding import Understanding
from inkstone.text import datasets
from inkstone.text.folds import grouped_split, k_folds
from inkstone.text.leaks import Leaks, duplicate_groups, find_leaks

DEV_SHARE = 0.1
MOST_DEV = 2000


@dataclass
class Parts:
    """Examples by part; `test` is empty where none was named."""

    train: list[Any]
    dev: list[Any]
    test: list[Any]
    understood: list[Understanding]

    def scored(self) -> dict[str, list[Any]]:
        """The parts that figures are given for."""
        return {"dev": self.dev} | ({"test": self.test} if self.test else {})

    def understanding_of(self, part: str) -> Understanding:
        """What was understood of the files that a part is from: those of the training part where dev was kept aside of it."""
        return next((each for each in self.understood if each.part == part), self.understood[0])

    def notice_unknown_labels(self, task: Task) -> None:
        """Say which labels only a later part has: they cannot be learned, and each of their examples counts as wrong."""
        for understanding in self.understood[1:]:
            unknown = sorted(understanding.labels.keys() - set(task.labels)) if task.labels else []
            if unknown:
                count = sum(understanding.labels[label] for label in unknown)
                understanding.notices.append(
                    f"{count:,} examples have labels that the training part does not have and that cannot be right: "
                    + ", ".join(unknown[:5])
                )


def read_parts(task: Task, recipe: Recipe) -> Parts:
    """Read the examples of a recipe; without a dev part, one is kept aside from the training part."""
    text = recipe.text
    known = [("train", text.sources), ("dev", text.held_out_sources), ("test", text.test_sources)]
    found: dict[str, list[Any]] = {"dev": [], "test": []}
    understood = []
    for part, sources in known:
        if sources:
            understanding = Understanding(part, list(sources))
            found[part] = task.read(sources, understanding)
            doubts = {source: told for source in sources if (told := datasets.doubt(source))}
            understanding.notices += [f"the licence of {name} is doubtful: {told}" for name, told in doubts.items()]
            understood.append(understanding)
    if recipe.task.fold:
        if found["test"]:
            raise RecipeError("task.fold takes a part of the data for the test part; name no --test beside it")
        found["train"], found["test"] = fold_of(found["train"], recipe)
        understood[0].notices.append(
            f"{len(found['test']):,} of the examples, fold {recipe.task.fold}, are the test part"
        )
    if not text.held_out_sources:
        found["train"], found["dev"] = kept_aside(found["train"], recipe)
        understood[0].notices.append(f"{len(found['dev']):,} of the examples are kept aside as dev")
    found["train"] = share_of(found["train"], recipe)
    notice_leaks(found, understood)
    return Parts(found["train"], found["dev"], found["test"], understood)


def of_part(sources: Sequence[str | Path], part: str) -> list[str]:
    """Sources for "valid" (dev) or "test": of a data set that is named as a whole its files of that part.

    Raises TextError for a data set that has none.
    """
    found = []
    for source in map(str, sources):
        files = datasets.parts_of(source, part)
        if not files:
            raise TextError(
                f"{source} has no {'dev' if part == 'valid' else part} part; name one of its files, or another source"
            )
        found += files
    return found


def dev_beside(sources: Sequence[str]) -> list[str]:
    """The dev parts of the data sets among these sources; empty where there are none, so that one is kept aside."""
    named = [source for source in sources if source.startswith(datasets.PREFIX)]
    return [file for source in named for file in datasets.parts_of(source, "valid") if file != source]


def kept_aside(examples: Sequence[Any], recipe: Recipe) -> tuple[list[Any], list[Any]]:
    """The examples without a random part of them, and that part, with the same shares of the labels.

    Examples whose texts are nearly the same stay together, and so do those of one group.
    """
    share = recipe.text.held_out or min(DEV_SHARE, MOST_DEV / len(examples))
    rows = grouped_split(
        [stratum(example) for example in examples],
        {"train": 1 - share, "dev": share},
        groups=groups_of(examples),
        seed=recipe.task.split_seed,
    )
    return [examples[row] for row in rows["train"]], [examples[row] for row in rows["dev"]]


def fold_of(examples: Sequence[Any], recipe: Recipe) -> tuple[list[Any], list[Any]]:
    """The examples outside of the fold that the recipe names, and those in it. Raises RecipeError for a fold that is none."""
    number, _, folds = (recipe.task.fold or "").partition("/")
    if not (number.isdecimal() and folds.isdecimal() and 1 <= int(number) <= int(folds)):
        raise RecipeError(f"task.fold = {recipe.task.fold!r}: write it as 2/5, the second of five")
    strata = [stratum(example) for example in examples]
    place = k_folds(strata, int(folds), groups=groups_of(examples), seed=recipe.task.split_seed)
    inside = place == int(number) - 1
    return (
        [example for example, within in zip(examples, inside, strict=True) if not within],
        [example for example, within in zip(examples, inside, strict=True) if within],
    )


def share_of(examples: Sequence[Any], recipe: Recipe) -> list[Any]:
    """A random part of the training examples, where the recipe asks for one: what a smaller data set would be."""
    if recipe.task.share == 1.0:
        return list(examples)
    generator = np.random.default_rng(recipe.task.split_seed)
    order = generator.permutation(len(examples))[: max(1, round(recipe.task.share * len(examples)))]
    return [examples[row] for row in np.sort(order)]


def stratum(example: Any) -> tuple[str, ...]:
    """What is to be in its share in every part: the labels, of a task that has one or several for each example."""
    return tuple(getattr(example, "labels", ()))


def what_is_read(example: Any) -> str:
    """What tells an example from others: its text, or of a recording, whose words many may have, the checksum of its sound."""
    return getattr(example, "identity", example.text)


def groups_of(examples: Sequence[Any]) -> np.ndarray:
    """The group of each example, which stays on one side: the one that its file names, and near-duplicates of its text."""
    group = duplicate_groups(map(what_is_read, examples))
    firsts: dict[str, int] = {}
    for row, example in enumerate(examples):
        name = getattr(example, "group", None)
        if name is not None:
            first = firsts.setdefault(name, row)
            if group[first] != group[row]:
                group[group == group[row]] = group[first]
    return group


def training_part(examples: Sequence[Any], recipe: Recipe) -> list[Any]:
    """What `read_parts` leaves to learn from of these examples of the training files."""
    learned = list(examples)
    if recipe.task.fold:
        learned, _ = fold_of(learned, recipe)
    if not recipe.text.held_out_sources:
        learned, _ = kept_aside(learned, recipe)
    return share_of(learned, recipe)


def notice_leaks(found: dict[str, list[Any]], understood: list[Understanding]) -> None:
    """Say how many examples of a later part an earlier one holds, word for word or nearly."""
    parts = {
        part: [what_is_read(example) for example in found[part]] for part in ("train", "dev", "test") if found[part]
    }
    leaks = find_leaks(parts)
    for understanding in understood[1:]:
        if notice := leak_notice(leaks, understanding.part, found[understanding.part]):
            understanding.notices.append(notice)


def leak_notice(leaks: Leaks, part: str, examples: Sequence[Any]) -> str | None:
    """How many examples of a part, and which one first, the training part holds, too; None where it holds none."""
    own = leaks.matches.filter((pl.col("part") == part) & (pl.col("other_part") == "train")).sort("row")
    if own.is_empty():
        return None
    exact, place = int(own["exact"].sum()), examples[own["row"][0]].place
    return (
        f"{len(own):,} examples stand in the training part, too ({exact:,} word for word, {len(own) - exact:,} nearly; "
        f"{place}, ...): its figures flatter"
    )
