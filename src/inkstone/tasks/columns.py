"""Which column of a table is the text, which the label: by name, else by what stands in it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from inkstone.errors import TextError, nearest
from inkstone.text.text_column import as_text, is_prose

LABEL_NAMES = (
    *("label", "labels", "class", "category", "categories", "target", "sentiment", "intent", "topic", "tag", "tags"),
    *("polarity", "rating", "stars", "标签", "標籤", "类别", "類別", "分类", "情感", "意图", "主题"),
)
SECOND_NAMES = (
    "text_b",
    "text2",
    "text_2",
    "sentence2",
    "sentence_2",
    "sentence_b",
    "hypothesis",
    "second",
    "句子2",
    "文本2",
)
FIRST_NAMES = (
    "text_a",
    "text1",
    "text_1",
    "sentence1",
    "sentence_1",
    "sentence_a",
    "premise",
    "first",
    "句子1",
    "文本1",
)
MOST_LABELS = 0.5  # of the rows: what has more different values is no label


def label_column(samples: Mapping[str, Sequence[Any]], wanted: str | None) -> str:
    """The column of the label: `wanted`, one with a usual name, else the one with the fewest different values that repeat.

    Raises TextError, naming the columns, where there is none.

    >>> label_column({"review": ["good", "bad plot", "fine"], "y": ["1", "0", "1"]}, None)
    'y'
    """
    if wanted is not None:
        return named(samples, wanted, "task.label_column")
    found = by_name(samples, LABEL_NAMES)
    if found is not None:
        return found
    different = {name: len(set(map(str, values))) for name, values in samples.items() if not _mostly_prose(values)}
    few = {
        name: count
        for name, count in different.items()
        if 1 < count <= max(2, MOST_LABELS * len(samples[name])) and not _counts_rows(samples[name])
    }
    if not few:
        raise TextError(
            f"no column that looks like a label; the columns are: {', '.join(samples)}; "
            "name it with --set task.label_column=NAME"
        )
    return min(few, key=lambda name: few[name])


def refuse_other_kind(pairs: bool | None, text: str, second: str | None, columns: Iterable[str]) -> None:
    """Refuse single texts where pairs were learned from, and pairs where single texts were; `pairs` None: not known.

    `text` and `second` are the columns that were found, None where there is no second one, of all `columns` of the file.
    Raises TextError, with the columns and what to do.
    """
    if pairs and second is None:
        raise TextError(
            f"each row has one text, in the column {text!r}, but the examples learned from are pairs of texts; the columns are: "
            f"{', '.join(columns)}; add the second text, and name both columns as in the examples learned from"
        )
    if pairs is False and second is not None:
        raise TextError(
            f"each row has two texts, in the columns {text!r} and {second!r}, but the examples learned from are single texts; "
            f"the columns are: {', '.join(columns)}; leave one of the two out, or learn from pairs"
        )


def named(samples: Mapping[str, Sequence[Any]], wanted: str, setting: str) -> str:
    """The column that was asked for. Raises TextError where there is none of this name."""
    if wanted not in samples:
        raise TextError(
            f"{setting} = {wanted!r}, but the columns are: {', '.join(samples)}; {nearest(wanted, samples)}"
        )
    return wanted


def by_name(samples: Mapping[str, Sequence[Any]], names: Sequence[str]) -> str | None:
    """The first of the usual names that is a column, whatever its case."""
    lower = {name.strip().lower(): name for name in reversed(list(samples))}
    return next((lower[name] for name in names if name in lower), None)


def _mostly_prose(values: Sequence[Any]) -> bool:
    texts = [text for text in map(as_text, values) if text]
    return sum(map(is_prose, texts)) * 2 > len(texts)


def _counts_rows(values: Sequence[Any]) -> bool:
    """Whether these are the numbers 0, 1, 2, ... of the rows."""
    texts = [str(value) for value in values]
    if len(texts) < 3 or not all(text.isdecimal() for text in texts):
        return False
    return len({int(after) - int(before) for before, after in pairwise(texts)}) == 1
