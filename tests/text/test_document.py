import polars as pl
import psutil

from inkstone.text.document import compact, documents


def test_a_few_rows_of_many_batches_do_not_keep_the_batches():
    process, held = psutil.Process(), []
    for batch in range(60):
        frame = documents([f"{batch} {row} ".ljust(5_000, "x") for row in range(1_000)])
        few = frame.filter(pl.int_range(pl.len()) % 100 == 0).with_columns(pl.col("text").str.head(100))
        held.append(compact(few))
        assert held[-1].equals(few) and held[-1].schema == few.schema
        if batch == 5:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 100_000_000  # the batches are 270 MB
    assert compact(held[0].head(0)).equals(held[0].head(0))
