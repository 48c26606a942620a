"""Batches of examples: every example once an epoch, rows of like length, padding that is marked as such."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.tokens.example_batches import NOT_ASKED, Encoded, ExampleBatches, collate, in_order


def examples(lengths):
    return [Encoded(np.full(length, number + 1), target=np.array(number)) for number, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 5))
def test_an_epoch_holds_every_example_once_and_any_batch_can_be_had_again(lengths, rows, seed):
    batches = ExampleBatches(examples(lengths), rows=rows, seed=seed)
    for epoch in range(2):
        first = epoch * batches.batches_per_epoch
        seen = [int(n) for i in range(batches.batches_per_epoch) for n in batches.batch(first + i).target]
        assert sorted(seen) == list(range(len(lengths)))
    other = ExampleBatches(examples(lengths), rows=rows, seed=seed)
    assert other.batch(batches.batches_per_epoch).ids.equal(batches.batch(batches.batches_per_epoch).ids)


def test_rows_are_of_like_length_and_epochs_differ():
    lengths = np.random.default_rng(0).integers(1, 200, 320)
    batches = ExampleBatches(examples(lengths), rows=10, seed=1)
    shown = [batches.batch(index) for index in range(batches.batches_per_epoch)]
    assert sum(b.ids.numel() for b in shown) < 1.15 * lengths.sum()
    assert [b.target.tolist() for b in shown] != [batches.batch(32 + i).target.tolist() for i in range(32)]


def test_what_is_padded_is_marked():
    batch = collate(
        [
            Encoded(np.array([5, 6, 7]), units=np.array([0, 2]), target=np.array([1, 0])),
            Encoded(np.array([8]), units=np.array([0]), target=np.array([2]), weight=0.5),
        ]
    )
    assert batch.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.valid.tolist() == [[True, True, True], [True, False, False]]
    assert batch.unit_valid.tolist() == [[True, True], [True, False]]
    assert batch.target.tolist() == [[1, 0], [2, NOT_ASKED]]
    assert batch.weight.tolist() == [1.0, 0.5]


def test_in_order_keeps_passes_small_and_forgets_nobody():
    lengths = [3, 100, 7, 50, 1]
    passes = in_order(examples(lengths), tokens=100)
    assert sorted(int(n) for rows in passes for n in rows) == [0, 1, 2, 3, 4]
    assert all(len(rows) * max(lengths[n] for n in rows) <= 100 for rows in passes)


def test_nothing_to_learn_from_is_said():
    with pytest.raises(TextError, match="no example"):
        ExampleBatches([], rows=4, seed=0)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60),
    st.integers(1, 120),
    st.integers(0, 5),
)
def test_batches_by_tokens_hold_every_example_once_and_no_more_tokens_than_are_asked_for(lengths, tokens, seed):
    examples = [Encoded(np.full(n, row), written=np.zeros(m, dtype=np.int64)) for row, (n, m) in enumerate(lengths)]
    batches = ExampleBatches(examples, rows=7, seed=seed, tokens=tokens)
    for epoch in range(2):
        found = [batches.batch(epoch * batches.batches_per_epoch + n) for n in range(batches.batches_per_epoch)]
        assert sorted(int(row[0]) for batch in found for row in batch.ids) == list(range(len(lengths)))
        for batch in found:
            longest = max(sum(lengths[int(row[0])]) for row in batch.ids)
            assert len(batch.ids) == 1 or len(batch.ids) * longest <= tokens
    again = ExampleBatches(examples, rows=7, seed=seed, tokens=tokens)
    assert all((again.batch(n).ids == batches.batch(n).ids).all() for n in range(batches.batches_per_epoch))
