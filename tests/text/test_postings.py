from collections import defaultdict

import numpy as np
import polars as pl
from hypothesis import given, strategies as st

from inkstone.text.postings import IDS_TOGETHER, Growing, Names, PostingRuns


@given(st.lists(st.lists(st.integers(0, 20), max_size=8), max_size=6), st.lists(st.integers(0, 25), max_size=6))
def test_posting_runs_agree_with_a_dictionary(batches, queries):
    runs, oracle, number = PostingRuns(), defaultdict(set), 0
    for batch in batches:
        runs.add(np.array(batch, dtype=np.uint64), np.arange(number, number + len(batch)))
        for key in batch:
            oracle[key].add(number)
            number += 1
    positions, found = runs.find(np.array(queries, dtype=np.uint64))
    got = defaultdict(set)
    for position, document in zip(positions.tolist(), found.tolist(), strict=True):
        got[position].add(document)
    assert got == {place: oracle[key] for place, key in enumerate(queries) if oracle[key]}


@given(st.lists(st.integers(0, 2 * IDS_TOGETHER + 1), max_size=4))
def test_names_are_what_was_added(sizes):
    names, oracle = Names(), []
    for size in sizes:
        batch = [f'a\n"砚#{len(oracle) + number}' for number in range(size)]
        names.add(pl.Series(batch, dtype=pl.String))
        oracle += batch
    assert names.count == len(oracle)
    assert [names[number] for number in {0, len(oracle) // 2, len(oracle) - 1} if oracle] == [
        oracle[number] for number in {0, len(oracle) // 2, len(oracle) - 1} if oracle
    ]


@given(st.lists(st.integers(0, 3000), max_size=5))
def test_growing_keeps_its_rows(sizes):
    growing, oracle = Growing(2, np.uint8), np.zeros((0, 2), dtype=np.uint8)
    for size in sizes:
        rows = np.arange(2 * size, dtype=np.uint8).reshape(size, 2)
        growing.add(rows)
        oracle = np.concatenate((oracle, rows))
    assert growing.count == len(oracle) and (growing.rows[: growing.count] == oracle).all()
