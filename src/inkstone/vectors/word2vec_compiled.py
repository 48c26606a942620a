"""The inner loop of Word2Vec, compiled by numba: `word2vec_reference.learn`, step by step, at the speed of the machine.

The two take the same draws from the same generator and differ by rounding alone.
"""

import math

import numpy as np
from numba import njit  # type: ignore[import-not-found]

SIGMOID_LIMIT = 8.0
SIGMOID_CELLS = 4096  # linear between the cells, which is exact to 2e-7
_CELLS_PER_UNIT = np.float32(SIGMOID_CELLS / (2 * SIGMOID_LIMIT))
_LIMIT = np.float32(SIGMOID_LIMIT)
_SIGMOID = (1 / (1 + np.exp(-np.linspace(-SIGMOID_LIMIT, SIGMOID_LIMIT, SIGMOID_CELLS + 1)))).astype(np.float32)
_RISE = np.append(np.diff(_SIGMOID), np.float32(0))


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _sigmoid(x: np.float32) -> np.float32:
    if -_LIMIT < x < _LIMIT:
        place = (x + _LIMIT) * _CELLS_PER_UNIT
        cell = int(place)
        return _SIGMOID[cell] + (place - np.float32(cell)) * _RISE[cell]
    return np.float32(1) / (np.float32(1) + np.float32(math.exp(-x)))


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _set(row, value):
    for k in range(len(row)):
        row[k] = value


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _copy(row, source):
    for k in range(len(row)):
        row[k] = source[k]


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _add(row, factor, source):
    for k in range(len(row)):
        row[k] += factor * source[k]


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _dot(left, right):
    total = np.float32(0)
    for k in range(len(left)):
        total += left[k] * right[k]
    return total


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _exchange(dx, do, x, o, error):
    for k in range(len(x)):
        dx[k] += error * o[k]
        do[k] += error * x[k]


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _step(x, o, dx, do, n_x, n_o, labels, rate):
    """One step of stochastic gradient descent: the changes `dx` of rows `x` and `do` of rows `o`."""
    zero = np.float32(0)
    for t in range(n_o):
        _set(do[t], zero)
    for c in range(n_x):
        _set(dx[c], zero)
        for t in range(n_o):
            error = rate * (labels[t] - _sigmoid(_dot(x[c], o[t])))
            _exchange(dx[c], do[t], x[c], o[t], error)


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def learn(
    ids,
    starts,
    keep,
    noise,
    alias,
    points,
    codes,
    path_starts,
    inputs,
    outputs,
    window,
    negative,
    cbow,
    rate,
    generator,
):
    """What `word2vec_reference.learn` does, its `Tables` given one by one; `rate` is a float32."""
    width = inputs.shape[1]
    longest = 0
    for piece in range(len(starts) - 1):
        longest = max(longest, starts[piece + 1] - starts[piece])
    kept = np.empty(longest, np.int32)
    spans = np.empty(longest, np.int64)
    most = 1 + negative
    for word in range(len(path_starts) - 1):
        most = max(most, path_starts[word + 1] - path_starts[word])
    targets = np.empty(most, np.int32)
    labels = np.empty(most, np.float32)
    context = np.empty(2 * window, np.int32)
    x = np.empty((2 * window, width), np.float32)
    dx = np.empty((2 * window, width), np.float32)
    o = np.empty((most, width), np.float32)
    do = np.empty((most, width), np.float32)
    one = np.float32(1)
    for piece in range(len(starts) - 1):
        n_kept = 0
        for place in range(starts[piece], starts[piece + 1]):
            if generator.random() < keep[ids[place]]:
                kept[n_kept] = ids[place]
                n_kept += 1
        for place in range(n_kept):
            spans[place] = 1 + int(generator.random() * window)
        for place in range(n_kept):
            word = kept[place]
            n_o = 0
            if negative > 0:
                targets[0] = word
                labels[0] = one
                n_o = 1
                for _ in range(negative):
                    draw = generator.random() * len(noise)
                    cell = int(draw)
                    target = cell if draw - cell < noise[cell] else alias[cell]
                    if target != word:
                        targets[n_o] = target
                        labels[n_o] = np.float32(0)
                        n_o += 1
            else:
                for step in range(path_starts[word], path_starts[word + 1]):
                    targets[n_o] = points[step]
                    labels[n_o] = one - codes[step]
                    n_o += 1
            n_context = 0
            for other in range(max(0, place - spans[place]), min(n_kept, place + spans[place] + 1)):
                if other != place:
                    context[n_context] = kept[other]
                    n_context += 1
            if n_context == 0:
                continue
            for t in range(n_o):
                _copy(o[t], outputs[targets[t]])
            if cbow:
                share = one / np.float32(n_context)
                _set(x[0], np.float32(0))
                for c in range(n_context):
                    _add(x[0], share, inputs[context[c]])
                _step(x, o, dx, do, 1, n_o, labels, rate)
                for c in range(n_context):
                    _add(inputs[context[c]], share, dx[0])
            else:
                for c in range(n_context):
                    _copy(x[c], inputs[context[c]])
                _step(x, o, dx, do, n_context, n_o, labels, rate)
                for c in range(n_context):
                    _add(inputs[context[c]], one, dx[c])
            for t in range(n_o):
                _add(outputs[targets[t]], one, do[t])
