"""Affixes: the keys are those of the beginnings and endings written out, and unknown ones add nothing."""

import numpy as np
import torch
from hypothesis import given, strategies as st

from inkstone.models.affixes import LONGEST, Affixes, affix_keys
from inkstone.models.word_keys import key_of

WORDS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=1, max_size=6)


def padded(words):
    size = torch.tensor([len(word) for word in words])
    tokens = torch.zeros(len(words), int(size.max()), dtype=torch.int64)
    for row, word in zip(tokens, words, strict=True):
        row[: len(word)] = torch.tensor(word)
    return tokens, size


def written_out(word):
    keys = []
    for sign in (0, -LONGEST):
        for length in range(1, LONGEST + 1):
            part = word[:length] if sign == 0 else word[-length:]
            key = key_of(torch.tensor([part]), torch.tensor([sign - length]))
            keys.append(int(key) if length <= len(word) else 0)
    return keys


@given(WORDS)
def test_keys_are_those_of_beginnings_and_endings(words):
    assert affix_keys(*padded(words)).tolist() == [written_out(word) for word in words]


@torch.no_grad()
def test_what_is_said_of_a_word_is_the_sum_over_the_affixes_that_are_known():
    keys = affix_keys(*padded([[1, 2, 3], [9, 2, 3], [7]]))
    known = np.unique(keys[0].numpy())
    known = known[known != 0]
    affixes = Affixes(len(known), 4)
    affixes.hold(known)
    affixes.initialise(torch.Generator().manual_seed(0))
    whole, ending, nothing = affixes(keys)
    torch.testing.assert_close(whole, affixes.vectors.weight[1:].sum(0))
    rows = np.searchsorted(known, [key for key in keys[1].tolist() if key in known]) + 1
    assert len(rows) == 2  # "3" and "23"
    torch.testing.assert_close(ending, affixes.vectors.weight[rows].sum(0))
    assert not nothing.any()
