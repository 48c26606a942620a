"""The parts of a data set: to learn from, to choose by, and to be scored on once; none may hold what another holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inkstone.progress import LiveLine
from inkstone.recipe import Recipe
from inkstone.tasks.base import Task
from inkstone.tasks.understanding import Understanding

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


def read_parts(task: Task, recipe: Recipe, line: LiveLine) -> Parts:
    """Read the examples of a recipe; without a dev part, one is kept aside from the training part."""
    text = recipe.text
    known = [("train", text.sources), ("dev", text.held_out_sources), ("test", text.test_sources)]
    found: dict[str, list[Any]] = {"dev": [], "test": []}
    understood = []
    for part, sources in known:
        if sources:
            understanding = Understanding(part, list(sources))
            found[part] = task.read(sources, understanding)
            understood.append(understanding)
    if not text.held_out_sources:
        found["train"], found["dev"] = kept_aside(task, found["train"], recipe)
        understood[0].notices.append(f"{len(found['dev']):,} of the examples are kept aside as dev")
    notice_leaks(task, found, understood)
    return Parts(found["train"], found["dev"], found["test"], understood)


def kept_aside(task: Task, examples: Sequence[Any], recipe: Recipe) -> tuple[list[Any], list[Any]]:
    """The examples without a random part of them, and that part; those of the same text stay together."""
    share = recipe.text.held_out or min(DEV_SHARE, MOST_DEV / len(examples))
    groups: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        groups.setdefault(example.text, []).append(number)
    order = np.random.default_rng(recipe.train.seed).permutation(len(groups))
    members = list(groups.values())
    aside: set[int] = set()
    for number in order:
        if len(aside) >= max(1, share * len(examples)):
            break
        aside.update(members[number])
    train = [example for number, example in enumerate(examples) if number not in aside]
    return train, [example for number, example in enumerate(examples) if number in aside]


def notice_leaks(task: Task, found: dict[str, list[Any]], understood: list[Understanding]) -> None:
    """Say how many examples of a later part stand, word for word, in the training part."""
    known = {example.text for example in found["train"]}
    for understanding in understood[1:]:
        leaked = [example for example in found[understanding.part] if example.text in known]
        if leaked:
            understanding.notices.append(
                f"{len(leaked):,} examples stand in the training part, too ({leaked[0].place}, ...): its figures flatter"
            )
