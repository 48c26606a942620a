"""ROUGE of all stretches of a text at once: a stretch is scored by what its last unit adds to the one before.

The figures are those of `rouge.py`. From one first unit on, what is shared of words and pairs only grows, and a longest common
subsequence follows from the one without the last token by one step (`subsequence.py`).
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from inkstone.evaluation.rouge_tokens import rouge_tokens
from inkstone.evaluation.subsequence import places_of

KINDS = ("ROUGE-1", "ROUGE-2", "ROUGE-L")


def stretch_scores(
    units: Sequence[str], first: Int[np.ndarray, " s"], last: Int[np.ndarray, " s"], references: Sequence[str]
) -> Float[np.ndarray, "s 3"]:
    """F1 of each stretch, units first … last, for each of `KINDS`; of several references that with the highest counts.

    Stretches with the same first unit stand together, sorted by their last one. Tokens are those of each unit by itself.
    """
    tokens = [rouge_tokens(unit) for unit in units]
    found = np.zeros((len(first), len(KINDS)))
    for reference in references:
        found = np.maximum(found, _scores(tokens, first.tolist(), last.tolist(), rouge_tokens(reference)))
    return found


def _scores(
    tokens: Sequence[Sequence[str]], first: Sequence[int], last: Sequence[int], reference: Sequence[str]
) -> Float[np.ndarray, "s 3"]:
    words, pairs = Counter(reference), Counter(pairwise(reference))
    places, full, theirs = places_of(reference), (1 << len(reference)) - 1, len(reference)
    counts = np.zeros((len(first), 4))  # words, pairs and the subsequence that are shared, and tokens
    begun = -1
    words_left, pairs_left, column, before, read = dict(words), dict(pairs), full, "", 0
    one = two = length = 0
    for row, (begin, stop) in enumerate(zip(first, last, strict=True)):
        if begin != begun:
            begun = read = begin
            words_left, pairs_left, column, before = dict(words), dict(pairs), full, ""
            one = two = length = 0
        for unit in tokens[read : stop + 1]:
            for token in unit:
                length += 1
                if words_left.get(token, 0):
                    words_left[token] -= 1
                    one += 1
                if pairs_left.get((before, token), 0):
                    pairs_left[before, token] -= 1
                    two += 1
                if here := places.get(token):
                    matched = column & here
                    column = ((column + matched) | (column - matched)) & full
                before = token
        read = stop + 1
        counts[row] = one, two, theirs - column.bit_count(), length
    sizes = counts[:, 3:] + theirs - np.array([0, 2, 0])
    return np.divide(2 * counts[:, :3], sizes, out=np.zeros((len(first), 3)), where=sizes > 0)
