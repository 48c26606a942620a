"""Leaks: what a later part shares with an earlier one, word for word or nearly, and the groups that keep it together."""

import pytest

from inkstone.errors import TextError
from inkstone.text.leaks import duplicate_groups, find_leaks

LONG = (
    "The stone is ground with water in slow circles, and the ink that comes of it is black and smells of pine; a brush "
    "takes it up, and the paper drinks it. Nobody hurries who writes like that, and nobody regrets the hour it takes."
)
NEARLY = LONG.replace("slow", "very slow")
OTHERS = [
    f"Text number {n * 7919} speaks of {word} and of nothing else that day."
    for n, word in enumerate(["rain", "wind", "snow", "sun"])
]


def test_exact_and_near_copies_are_found_and_nothing_else():
    leaks = find_leaks(
        {"train": [*OTHERS, LONG], "dev": ["a text of its own"], "test": [OTHERS[2].upper(), NEARLY, "new words"]}
    )
    assert leaks.rows("test") == [0, 1] and leaks.rows("dev") == []
    counts = leaks.counts().filter(leaks.counts()["part"] == "test")
    line = counts.filter(counts["other_part"] == "train").row(0, named=True)
    assert (line["exact"], line["near"]) == (1, 1)


def test_groups_hold_copies_together():
    groups = duplicate_groups([LONG, OTHERS[0], NEARLY, OTHERS[0] + " ", OTHERS[1]]).tolist()
    assert groups == [0, 1, 0, 1, 4]
    exact = duplicate_groups([LONG, OTHERS[0], NEARLY, OTHERS[0]], threshold=None).tolist()
    assert exact == [0, 1, 2, 1]


def test_rows_without_text_and_odd_thresholds_are_refused():
    with pytest.raises(TextError, match="no text"):
        find_leaks({"train": [None]})  # type: ignore[list-item]
    with pytest.raises(TextError, match="threshold"):
        find_leaks({"train": [LONG], "test": [LONG]}, threshold=1.5)
