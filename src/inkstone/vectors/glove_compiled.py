"""The inner loop of GloVe, compiled by numba: `glove_reference.learn`, cell by cell, at the speed of the machine."""

import math

import numpy as np
from numba import njit  # type: ignore[import-not-found]


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _score(w, c):
    """w · c + b + d, the biases in the last places."""
    last = len(w) - 1
    total = w[last] + c[last]
    for k in range(last):
        total += w[k] * c[k]
    return total


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _adapt(w, c, w_sums, c_sums, slope):
    for k in range(len(w) - 1):
        w_gradient, c_gradient = slope * c[k], slope * w[k]
        w[k] -= w_gradient / math.sqrt(w_sums[k])
        c[k] -= c_gradient / math.sqrt(c_sums[k])
        w_sums[k] += w_gradient * w_gradient
        c_sums[k] += c_gradient * c_gradient


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def learn(rows, columns, weights, words, contexts, word_sums, context_sums, x_max, power):
    """See `glove_reference.learn`; `x_max` and `power` are float32."""
    one = np.float32(1)
    last = words.shape[1] - 1
    for cell in range(len(rows)):
        row, column, weight = rows[cell], columns[cell], weights[cell]
        w, c, w_sums, c_sums = words[row], contexts[column], word_sums[row], context_sums[column]
        error = _score(w, c) - math.log(weight)
        slope = error * min(one, (weight / x_max) ** power)
        _adapt(w, c, w_sums, c_sums, slope)
        w[last] -= slope / math.sqrt(w_sums[last])
        c[last] -= slope / math.sqrt(c_sums[last])
        w_sums[last] += slope * slope
        c_sums[last] += slope * slope
