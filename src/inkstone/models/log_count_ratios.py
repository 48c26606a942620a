"""How far the weights of a linear classifier may go, by how unevenly what they weigh is spread over the labels.

    r(w, label) = ln ((1 + n(w, label) / π) / (1 + n(w, others) / (1 − π)))

n is the number of texts that have the n-gram w, π the share of the texts that have the label. Naive Bayes would take these
ratios for the weights themselves; a regression whose weights are r ∘ v, with the penalty on v, begins at that knowledge and
corrects it. It finds more in few examples than either alone.

Source: Wang and Manning 2012, "Baselines and Bigrams" (NB-SVM), who scale the values by the ratios; here each label has its own.
"""

import numpy as np
from jaxtyping import Float, Int

from inkstone.text.sparse_rows import SparseRows


def log_count_ratios(rows: SparseRows, having: Float[np.ndarray, "n outputs"]) -> Float[np.ndarray, "columns outputs"]:
    """The ratio of each column and label. `having`: 1 where a text has the label, 0 elsewhere.

    They are worked out a label at a time: of many columns and labels the table of ratios is large, and nothing else is as large.
    """
    share = (having.sum(axis=0) + 0.5) / (len(having) + 1)
    often = np.bincount(rows.columns, minlength=rows.width)
    row_of_entry = rows.rows
    ratios = np.empty((rows.width, len(share)))
    for label, own in enumerate(share):
        under = np.bincount(rows.columns, weights=having[row_of_entry, label], minlength=rows.width)
        ratios[:, label] = np.log1p(under / own) - np.log1p((often - under) / (1 - own))
    return ratios


def spread_of(
    rows: SparseRows, targets: Int[np.ndarray, " n"] | Float[np.ndarray, "n outputs"], power: float
) -> Float[np.ndarray, "columns outputs"] | None:
    """|ratio| to a power, one in the mean square, for targets as `LogisticRegression` takes them; None for the power 0."""
    if not power:
        return None
    having = np.eye(targets.max() + 1)[targets] if targets.ndim == 1 else targets
    spread = log_count_ratios(rows, having)
    np.abs(spread, out=spread)
    np.power(spread, power, out=spread)
    squares = sum(float(np.square(of_label).sum()) for of_label in spread.T)
    spread /= max(np.sqrt(squares / max(spread.size, 1)), 1e-12)
    return spread
