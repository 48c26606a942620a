"""The inner loop of GloVe in NumPy: what the compiled one must equal, and what runs where numba is not installed.

For a cell X of the counts, with f(X) = min(1, (X / x_max)^0.75):

    loss = ½ f(X) (w · c + b + d − log X)²        w, b of the word; c, d of the context word

Each weight keeps the sum of its squared gradients G, and moves by gradient / √G (AdaGrad, Duchi et al. 2011).
"""

import numpy as np


def learn(
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    words: np.ndarray,
    contexts: np.ndarray,
    word_sums: np.ndarray,
    context_sums: np.ndarray,
    x_max: float,
    power: float,
) -> None:
    """One step for every cell in turn, in place.

    words, contexts: (n, width + 1), the bias in the last column; word_sums, context_sums: the sums of squared gradients.
    """
    one, limit = np.float32(1), np.float32(x_max)
    for row, column, weight in zip(rows, columns, weights, strict=True):
        w, c = words[row].copy(), contexts[column].copy()
        error = w[:-1] @ c[:-1] + w[-1] + c[-1] - np.log(weight)
        slope = error * min(one, (weight / limit) ** np.float32(power))
        for values, sums, gradient in (
            (words[row], word_sums[row], slope * np.append(c[:-1], one)),
            (contexts[column], context_sums[column], slope * np.append(w[:-1], one)),
        ):
            values -= gradient / np.sqrt(sums)
            sums += gradient * gradient
