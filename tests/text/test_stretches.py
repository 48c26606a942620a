"""Stretches of a text: which there are, against all pairs of units; and what is told of their units."""

import numpy as np
import pytest

from inkstone.text.stretches import WORD, Stretches
from inkstone.text.words import sentences

TEXTS = [
    "Ink is ground. The stone (of Duan) is wet, and the ink dries slowly! Who waits?",
    "磨墨。端砚（广东肇庆）的石头细密，发墨快。纸在等。",
    "One) two (three. Four [five] six) seven.",
    "no end here",
]


def expected(text: str, found: Stretches, longest: int) -> list[tuple[int, int]]:
    """All pairs of words in one sentence, or around whole sentences, that hold whole pairs of brackets."""
    ends, at = [], 0
    for sentence in sentences(text):
        at = text.index(sentence, at) + len(sentence)
        ends.append(at)
    of = [sum(end <= begin for end in ends) for begin, _ in found.places]
    is_word = [bool(WORD.search(unit)) for unit in found.units()]
    pairs = []
    for i in range(len(of)):
        for j in range(i, len(of)):
            inside = found.units()[i : j + 1]
            depths = np.cumsum([(unit in "([（") - (unit in ")]）") for unit in inside])
            begins = not any(is_word[k] and of[k] == of[i] for k in range(i))
            stops = not any(is_word[k] and of[k] == of[j] for k in range(j + 1, len(of)))
            if (
                (is_word[i] and is_word[j])
                and (of[i] == of[j] or (begins and stops))
                and (depths[-1] == 0 and depths.min() >= 0)
                and sum(is_word[i : j + 1]) <= longest
            ):
                pairs.append((i, j))
    return pairs


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("longest", [1, 4, 20])
def test_they_are_all_pairs_of_words_that_belong_together(text, longest):
    found = Stretches.of(text, longest)
    assert list(zip(found.first.tolist(), found.last.tolist(), strict=True)) == expected(text, found, longest)
    spelled = [
        sum(bool(WORD.search(unit)) for unit in found.units()[i : j + 1]) for i, j in expected(text, found, longest)
    ]
    assert found.lengths.tolist() == spelled


@pytest.mark.parametrize("text", ["", "  \n", "... !"])
def test_a_text_without_words_has_none(text):
    assert len(Stretches.of(text, 5)) == 0


def test_features_say_where_a_unit_stands():
    found = Stretches.of("Ink dries. Ink waits.", 5)
    assert found.units() == ["Ink", "dries", ".", "Ink", "waits", "."]
    first, last, inside = (found.features[side] for side in ("first", "last", "inside"))
    assert "begins True number 1" in first[3] and "before dries ." in first[3] and "begins False" in first[4]
    assert "ends True" in last[1] and "ends False" in last[0] and "after . ink" in last[1]
    assert "times 2 False" in inside[0] and "again False False" in inside[0] and "again True False" in inside[3]
    assert "sign True" in inside[2] and "from the end 1" in inside[0] and "from the end 0" in inside[3]
