"""Parquet tables: only the column with the text is read, a few megabytes of rows at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from inkstone.errors import TextError
from inkstone.text.archives import BUFFER
from inkstone.text.member import Member
from inkstone.text.text_column import SAMPLE_RECORDS, choose

SLICE_BYTES = 8 << 20


def texts(member: Member) -> Iterator[pl.Series]:
    """The text column of a parquet file; a list of strings counts as one text with line ends.

    The table needs random access: inside an archive or on standard input it is first copied to a temporary file.
    """
    if member.path is not None:
        yield from _column(member, member.path, member.on_bytes)
        return
    with TemporaryDirectory(prefix="inkstone-") as folder:
        path = Path(folder) / "table.parquet"
        with open(path, "wb") as file:
            for block in member.blocks():
                file.write(block)
        yield from _column(member, path, lambda number: None)


def _column(member: Member, path: Path, on_bytes: Callable[[int], None]) -> Iterator[pl.Series]:
    try:
        table = pl.scan_parquet(path, glob=False)
        schema = table.collect_schema()
        rows = table.select(pl.len()).collect().item()
        strings = [name for name, kind in schema.items() if kind in (pl.String, pl.Categorical, pl.List(pl.String))]
        sample = table.select(strings).head(SAMPLE_RECORDS).collect()
        if not strings:
            choose(dict.fromkeys(schema, ()), member.text_column)
        name = choose(sample.to_dict(as_series=False), member.text_column)
        text = pl.col(name).list.join("\n", ignore_nulls=True) if schema[name] == pl.List(pl.String) else pl.col(name)
        unread = max(0, path.stat().st_size - BUFFER)  # the first buffer was read to learn the format
        start, length = 0, SAMPLE_RECORDS
        while start < rows:
            found = table.select(text.cast(pl.String)).slice(start, length).collect().to_series()
            on_bytes(unread * min(start + length, rows) // rows - unread * start // rows)
            start += length
            if found.null_count():
                member.report.malformed += found.null_count()
                found = found.drop_nulls()
            size = int(found.str.len_bytes().sum())
            length = max(1, min(4 * length, length * SLICE_BYTES // max(size, 1)))
            yield found
    except pl.exceptions.PolarsError as error:
        raise TextError(f"damaged parquet file: {str(error).splitlines()[0]}") from error
