"""Packing against all ways to pack, and batches of packed examples: what stands where."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.tokens.example_batches import Encoded, ExampleBatches, collate
from inkstone.tokens.packing import NOTHING, packed


def fewest_rows(lengths, width):
    """By trying every place for every sequence."""
    best = len(lengths)

    def place(number, rooms):
        nonlocal best
        if len(rooms) >= best and number < len(lengths):
            return
        if number == len(lengths):
            best = min(best, len(rooms))
            return
        for row in range(len(rooms)):
            if rooms[row] >= lengths[number]:
                place(number + 1, [*rooms[:row], rooms[row] - lengths[number], *rooms[row + 1 :]])
        place(number + 1, [*rooms, width - lengths[number]])

    place(0, [])
    return best


@given(st.lists(st.integers(1, 12), min_size=1, max_size=7), st.integers(12, 20))
def test_every_sequence_has_its_place_and_rows_are_few(lengths, width):
    rows = packed(lengths, width)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= width for row in rows)
    assert len(rows) <= 11 / 9 * fewest_rows(lengths, width) + 1


def test_a_sequence_that_is_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="9 places does not fit into a row of 4"):
        packed([1, 9], 4)


def example(ids, answers, sequence=None, reference=None):
    given = None if sequence is None else np.array(sequence)
    known = None if reference is None else np.array(reference)
    return Encoded(np.array(ids), answers=np.array(answers, dtype=bool), sequence=given, reference=known)


def test_a_packed_batch_holds_each_example_once_with_its_answers():
    examples = [example([1, 2, 3, 4], [0, 0, 1, 1]), example([5, 6], [0, 1]), example([7, 8, 9], [0, 1, 0])]
    batch = collate(examples)
    assert batch.ids.tolist() == [[1, 2, 3, 4], [5, 6, 0, 0], [7, 8, 9, 0]]
    examples.append(example([10, 11], [0, 1]))
    batch = collate(examples)
    assert batch.ids.tolist() == [[1, 2, 3, 4], [5, 6, 10, 11], [7, 8, 9, 0]]
    assert batch.document.tolist() == [[0, 0, 0, 0], [1, 1, 3, 3], [2, 2, 2, NOTHING]]
    assert batch.answers.tolist() == [
        [False, False, True, True],
        [False, True, False, True],
        [False, True, False, False],
    ]
    assert batch.valid.tolist()[2] == [True, True, True, False] and batch.reference is None


def test_texts_of_an_example_are_numbered_one_after_the_other():
    pair = example([1, 2, 3, 4, 5], [0, 1, 0, 1, 1], [0, 0, 1, 1, 1], [-1.0, -2.0])
    batch = collate([pair, pair])
    assert batch.document.tolist() == [[0, 0, 1, 1, 1], [2, 2, 3, 3, 3]] and batch.reference.tolist() == [[-1, -2]] * 2


def test_packed_examples_are_not_sorted_by_length_and_each_comes_once_an_epoch():
    examples = [example([number] * (1 + number % 7), [1] * (1 + number % 7)) for number in range(40)]
    batches = ExampleBatches(examples, rows=8, seed=0)
    seen = [batches.batch(index) for index in range(batches.batches_per_epoch)]
    assert sorted(number for batch in seen for number in batch.ids[batch.valid].unique().tolist()) == list(range(40))
    assert all(len(set((batch.document[batch.valid]).bincount().tolist())) > 2 for batch in seen)
    assert batches.batch(3).ids.tolist() == seen[3].ids.tolist()


def test_what_says_what_is_right_can_be_learned_from():
    assert example([1, 2], [0, 1]).taught and not example([1, 2], [0, 0]).taught
    assert Encoded(np.array([1]), target=np.array(1)).taught and not Encoded(np.array([1])).taught
