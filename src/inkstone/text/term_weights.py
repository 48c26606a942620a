"""TF–IDF: how much a word tells of one document against the others (Spärck Jones 1972; Salton and Buckley 1988).

    idf(w) = ln((1 + N) / (1 + n_w)) + 1          N documents, n_w of them with w
    weight(w, d) = count(w in d) · idf(w), each document's weights divided by their Euclidean length

This is the smoothed form, as if one more document held every word; scikit-learn's default is the same.
"""

import polars as pl


def tf_idf(counts: pl.DataFrame, document_counts: pl.DataFrame, n_documents: int) -> pl.DataFrame:
    """`counts` (unit, key, count: one row a word of a document) with the column `weight`.

    `document_counts` (key, units) says in how many of the `n_documents` documents each word stands; words that it lacks
    are left out. All rows of a document must be in `counts`, since they share its length.
    """
    idf = ((1 + n_documents) / (1 + pl.col("units"))).log() + 1
    length = pl.col("weight").pow(2).sum().sqrt().over("unit")
    return (
        counts.join(document_counts.select("key", "units"), on="key", maintain_order="left")
        .with_columns((pl.col("count") * idf).alias("weight"))
        .with_columns(pl.col("weight") / length)
    )


def top_terms(weights: pl.DataFrame, top: int) -> pl.DataFrame:
    """The `top` heaviest words of each document, documents in the order of their first row, heaviest first."""
    order = weights["unit"].unique(maintain_order=True)
    rank = pl.DataFrame({"unit": order, "order": range(len(order))}, schema_overrides={"order": pl.UInt32})
    return (
        weights.join(rank, on="unit")
        .sort("order", pl.col("weight").round(9), "key", descending=[False, True, False])  # rounded: ties are ties
        .group_by("order", maintain_order=True)
        .head(top)
        .drop("order")
    )
