"""The tokens within a character that an engine tells only by their number and their bytes."""

from collections.abc import Mapping
from functools import lru_cache


def spelled_by(data: bytes, count: int, ids: Mapping[bytes, int]) -> tuple[int, ...] | None:
    """`count` tokens whose bytes, one after another, are `data`; None where there are none. `ids` names tokens by their bytes.

    Of several ways the one whose first tokens are longest.

    >>> spelled_by(b"abc", 2, {b"a": 1, b"ab": 2, b"bc": 3, b"c": 4})
    (2, 4)
    """

    @lru_cache(None)
    def rest(start: int, left: int) -> tuple[int, ...] | None:
        if left == 0:
            return () if start == len(data) else None
        for end in range(len(data) - left + 1, start, -1):
            number = ids.get(data[start:end])
            if number is not None and (after := rest(end, left - 1)) is not None:
                return (number, *after)
        return None

    return rest(0, count)
