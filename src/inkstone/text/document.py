"""The document: one row of a frame, the currency of everything in `text/`.

A text step is a function from a frame to a frame. A step never deletes a row: it writes the reason into
`dropped`, and later steps leave rows alone that already have one.
"""

import polars as pl

SCHEMA = pl.Schema(
    {
        "id": pl.String,  # unique within a corpus and the same in every reading of it: "SOURCE#NUMBER"
        "source": pl.String,  # the file, with the path inside an archive after "!": "books.zip!a/b.txt"
        "text": pl.String,
        "language": pl.String,  # ISO 639-1 code, or null before it was looked at
        "dropped": pl.String,  # the reason why the row is left out, or null
    }
)


def documents(texts: list[str], source: str = "memory") -> pl.DataFrame:
    """A frame of documents from strings.

    >>> documents(["ink", "stone"])["id"].to_list()
    ['memory#0', 'memory#1']
    """
    return pl.DataFrame(
        {
            "id": [f"{source}#{number}" for number in range(len(texts))],
            "source": source,
            "text": texts,
            "language": None,
            "dropped": None,
        },
        schema=SCHEMA,
    )


def kept(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that no step has dropped."""
    return frame.filter(pl.col("dropped").is_null())


def compact(frame: pl.DataFrame) -> pl.DataFrame:
    """The same few rows with texts of their own: those of a filtered frame keep the whole one in memory.

    Whoever holds small parts of many batches holds, without this, all the batches.
    """
    return pl.DataFrame(frame.to_dict(as_series=False), schema=frame.schema)


def drop(frame: pl.DataFrame, where: pl.Expr, reason: str) -> pl.DataFrame:
    """Write `reason` into the rows for which `where` holds and which have no reason yet."""
    return frame.with_columns(
        pl.when(pl.col("dropped").is_null() & where).then(pl.lit(reason)).otherwise(pl.col("dropped")).alias("dropped")
    )
