"""F1 of the fields of records: what a record holds, taken apart into pairs of a path and a value.

    {"who": "Ada", "tools": ["pen", "ink"]}   →   (who, ada), (tools/*, pen), (tools/*, ink)

Items of a list have one path, so their order does not count; which of several objects a value stands in does not count either, that
is told by the share of records that are right as a whole. Nulls, empty lists and empty objects hold nothing.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from inkstone.evaluation.label_scores import Score

Fields = Counter[tuple[tuple[str, ...], Any]]
EACH = "*"  # in a path: the items of a list


def fields_of(record: Any) -> Fields:
    """The pairs of path and value, with how often each stands there."""
    found: Fields = Counter()
    under_way: list[tuple[tuple[str, ...], Any]] = [((), record)]
    while under_way:
        path, value = under_way.pop()
        if isinstance(value, Mapping):
            under_way += [((*path, name), part) for name, part in value.items()]
        elif isinstance(value, list):
            under_way += [((*path, EACH), item) for item in value]
        elif value is not None:
            found[path, normalised(value)] += 1
    return found


def normalised(value: Any) -> Any:
    """A value as it is compared: texts in NFKC and small letters, with single blanks; whole numbers as such; else as it is.

    >>> normalised("  Ｉｎｋ  Stone"), normalised(2.0), normalised(True)
    ('ink stone', 2, 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()  # or it would equal 0 or 1
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return int(value) if isinstance(value, float) and value.is_integer() else value


def field_counts(gold: Sequence[Any], predicted: Sequence[Any]) -> Int[np.ndarray, "n 3"]:
    """For each record how many fields were told rightly, were told, should have been (the order of `label_scores`)."""
    counts = [_three(fields_of(right), fields_of(told)) for right, told in zip(gold, predicted, strict=True)]
    return np.array(counts, dtype=np.int64).reshape(-1, 3)


def scores_by_path(gold: Sequence[Any], predicted: Sequence[Any]) -> dict[str, Score]:
    """The same sums for each path, over all records: that of the items of a list `tools` is "tools/*"."""
    found: dict[str, list[int]] = {}
    for record, other in zip(gold, predicted, strict=True):
        right, told = fields_of(record), fields_of(other)
        for path in dict.fromkeys(path for path, _ in (*right, *told)):
            own = [Counter({key: n for key, n in side.items() if key[0] == path}) for side in (right, told)]
            known = found.get("/".join(path), [0, 0, 0])
            found["/".join(path)] = [old + new for old, new in zip(known, _three(*own), strict=True)]
    return {path: Score(*counts) for path, counts in sorted(found.items())}


def _three(right: Fields, told: Fields) -> tuple[int, int, int]:
    return (right & told).total(), told.total(), right.total()


def same(gold: Any, predicted: Any) -> bool:
    """Whether two records hold the same: values as they are compared, lists in their order, nothing where nothing is held."""
    return _bare(gold) == _bare(predicted)


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {name: bare for name, part in value.items() if (bare := _bare(part)) is not None}
        return parts or None
    if isinstance(value, list):
        return [_bare(item) for item in value] or None
    return None if value is None else normalised(value)
