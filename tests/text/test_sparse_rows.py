"""Sparse rows against the tables that they stand for."""

import numpy as np
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from inkstone.text.sparse_rows import SparseRows, side_by_side

TABLES = arrays(
    float, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6), elements=st.sampled_from([0.0, 0.0, 1.5, -2.0])
)


@given(TABLES)
def test_a_table_comes_back(table):
    rows = SparseRows.of_dense(table)
    assert len(rows) == len(table) and rows.width == table.shape[1]
    np.testing.assert_array_equal(rows.dense(), table)
    np.testing.assert_array_equal(rows.transposed().dense(), table.T)
    assert (np.diff(rows.keys) > 0).all()


@given(TABLES, st.randoms())
def test_entries_may_come_in_any_order(table, random):
    rows = SparseRows.of_dense(table)
    order = list(range(len(rows.values)))
    random.shuffle(order)
    again = SparseRows.of(rows.rows[order], rows.columns[order], rows.values[order], table.shape)
    np.testing.assert_array_equal(again.dense(), table)


@given(TABLES)
def test_rows_are_divided_by_their_length(table):
    lengths = np.linalg.norm(SparseRows.of_dense(table).at_length_one().dense(), axis=1)
    np.testing.assert_allclose(lengths, table.any(axis=1), atol=1e-12)


@given(TABLES, st.data())
def test_rows_are_chosen_in_any_order_and_stand_side_by_side(table, data):
    rows = SparseRows.of_dense(table)
    chosen = data.draw(st.lists(st.sampled_from(range(len(table))), max_size=5) if len(table) else st.just([]))
    np.testing.assert_array_equal(rows.chosen(chosen).dense(), table[chosen])
    np.testing.assert_array_equal(side_by_side([rows, rows, rows]).dense(), np.hstack([table, table, table]))
