"""Error rates against jiwer, and against all ways to edit short texts."""

import tracemalloc
from functools import cache

import numpy as np
import pytest

from inkstone.evaluation.word_errors import character_edits, edits, word_edits

jiwer = pytest.importorskip("jiwer")


def sentences(seed, letters="abcde", most=9):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(list(letters), draw.integers(1, most))) for _ in range(60)]


def test_word_and_character_errors_are_those_of_jiwer():
    said, heard = sentences(0), sentences(1)
    words, characters = (
        [measure(*pair) for pair in zip(said, heard, strict=True)] for measure in (word_edits, character_edits)
    )
    assert sum(e.total for e in words) / sum(e.length for e in words) == pytest.approx(jiwer.wer(said, heard))
    assert sum(e.total for e in characters) / sum(e.length for e in characters) == pytest.approx(jiwer.cer(said, heard))
    for own, one, other in zip(words, said, heard, strict=True):
        theirs = jiwer.process_words(one, other)
        assert own.total == theirs.substitutions + theirs.deletions + theirs.insertions
        assert own.insertions - own.deletions == theirs.insertions - theirs.deletions


def test_chinese_is_counted_by_characters():
    said, heard = ["研墨写字", "纸在等"], ["研磨写", "纸再等等"]
    found = [word_edits(*pair) for pair in zip(said, heard, strict=True)]
    assert sum(e.total for e in found) / sum(e.length for e in found) == pytest.approx(jiwer.cer(said, heard))
    assert word_edits("用 ink 写", "用 inc 写").total == 1


def test_nothing_said_and_nothing_heard():
    assert edits([], ["a", "b"]).insertions == 2 and edits(["a"], []).deletions == 1 and edits([], []).total == 0


def test_of_ways_with_as_few_edits_it_is_the_one_with_the_most_substitutions():
    @cache
    def best(said, heard):
        """(edits, −substitutions) of the best way, by trying all."""
        if not said or not heard:
            return len(said) + len(heard), 0
        total, fewer = best(said[1:], heard[1:])
        changed = said[0] != heard[0]
        ways = [(total + changed, fewer - changed)]
        ways += [(one + 1, other) for one, other in (best(said[1:], heard), best(said, heard[1:]))]
        return min(ways)

    draw = np.random.default_rng(3)
    for _ in range(60):
        said, heard = ("".join(draw.choice(list("abc"), draw.integers(0, 7))) for _ in range(2))
        found = edits(said, heard)
        assert (found.total, -found.substitutions) == best(said, heard)


def test_long_texts_take_no_table_of_all_places():
    said = "ink on stone " * 150
    tracemalloc.start()
    try:
        assert character_edits(said, said[::-1]).length == len(said)
        assert tracemalloc.get_traced_memory()[1] < len(said) ** 2
    finally:
        tracemalloc.stop()
