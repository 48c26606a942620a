"""Packing: sequences of different lengths in as few rows as it takes, so that little of a batch is padding.

Best fit, the longest first (Johnson 1973): each sequence goes into the row with the least room that still holds it. It needs at most
11/9 of the fewest rows possible, and one more.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

NOTHING = -1  # the number of no document: padding


def packed(lengths: Sequence[int], width: int | None = None) -> list[list[int]]:
    """Which sequences stand in each row of so many places; `width` is by default the longest length.

    Rows come in the order of the first sequence in them. Raises ValueError for a sequence that is longer than a row.

    >>> packed([5, 2, 3, 4, 1])
    [[0], [1, 2], [3, 4]]
    """
    width = max(lengths, default=1) if width is None else width
    if max(lengths, default=0) > width:
        raise ValueError(f"a sequence of {max(lengths)} places does not fit into a row of {width}")
    rows: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (places left, number of the row), sorted
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        at = bisect_left(rooms, (lengths[number], -1))
        if at == len(rooms):
            rows.append([])
            room, row = width, len(rows) - 1
        else:
            room, row = rooms.pop(at)
        rows[row].append(number)
        insort(rooms, (room - lengths[number], row))
    return sorted((sorted(row) for row in rows), key=lambda row: row[0])
