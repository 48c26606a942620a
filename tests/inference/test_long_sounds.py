"""Long recordings: pieces that cover all, and one row of frames that neither cuts a word nor has it twice."""

from itertools import pairwise

import numpy as np
from hypothesis import given, strategies as st

from inkstone.inference.ctc_search import greedy
from inkstone.inference.long_sounds import MULTIPLE, piece_bounds, step_of, stitched


@given(st.integers(1, 5000), st.integers(16, 900))
def test_pieces_cover_all_overlap_and_begin_where_a_state_does(frames, most):
    bounds = piece_bounds(frames, most)
    assert bounds[0][0] == 0 and bounds[-1][1] == frames
    assert all(0 < end - begin <= most and begin % MULTIPLE == 0 for begin, end in bounds)
    for (begin, end), (later, _) in pairwise(bounds):
        assert later < end and later - begin == step_of(most - most % MULTIPLE)
    assert all(end - begin == most - most % MULTIPLE for begin, end in bounds[:-1])


def said(tokens, v=4):
    """Log-probabilities that are nearly sure of these tokens, 0 the blank."""
    scores = np.full((len(tokens), v), 0.01 / (v - 1))
    scores[np.arange(len(tokens)), tokens] = 0.99
    return np.log(scores)


def test_a_word_in_the_overlap_is_heard_once_wherever_each_piece_puts_it():
    left = [1, 0, 0, 2, 0, 0, 3, 0]
    for right in ([0, 0, 0, 3, 0, 0, 1, 0], [0, 0, 3, 0, 0, 0, 1, 0], [2, 0, 0, 3, 0, 0, 1, 0]):
        whole = stitched([said(left), said(right)], [0, 3], 0)
        assert len(whole) == 11 and greedy(whole, 0).ids == (1, 2, 3, 1)


def test_one_piece_is_itself():
    assert stitched([said([1, 0])], [0], 0).shape == (2, 4)
