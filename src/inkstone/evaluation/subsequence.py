"""The longest common subsequence of two sequences, whole columns of its table at once as the bits of one number.

    t(i, j) = length of a longest common subsequence of the first i of one and the first j of the other
    column j of the table: bit i is 0 where t(i + 1, j) = t(i, j) + 1, and 1 where the two are equal
    m = column & places of the next token;   column' = (column + m) | (column − m)

Crochemore et al. 2001 and Hyyrö 2004. For n and m tokens O(n · m / 30) steps of the processor, since Python computes with
30 bits at a time: the loop in Python runs over the tokens of one side only.
"""

from collections.abc import Hashable, Iterable, Sequence


def common_length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """How long the longest common subsequence is.

    >>> common_length("inkstone", "instance"), common_length("ink", "")
    (6, 0)
    """
    in_both = set(first) & set(second)
    long, short = ([token for token in side if token in in_both] for side in (first, second))
    if len(long) < len(short):
        long, short = short, long
    places, full = places_of(long), (1 << len(long)) - 1
    column = full
    for token in short:
        matched = column & places[token]
        column = ((column + matched) | (column - matched)) & full
    return len(long) - column.bit_count()


def united_places(first: Sequence[Hashable], others: Iterable[Sequence[Hashable]]) -> int:
    """Which tokens of `first` belong to its longest common subsequence with any of the others: bit i stands for token i.

    Of several longest ones with the same other, the one found on the way back through the table from its end that leaves
    out a token of `first` wherever that loses nothing: the choice of the package rouge-score.

    >>> bin(united_places("abcb", ["ab"])), bin(united_places("abc", ["a", "bx"]))
    ('0b1001', '0b11')
    """
    places, full = places_of(first), (1 << len(first)) - 1
    united = 0
    for other in others:
        column, steps = full, []
        for here in map(places.get, other):
            if here:
                matched = column & here
                column = ((column + matched) | (column - matched)) & full
            elif steps and not steps[-1][0]:
                continue  # of neighbours that `first` lacks, one is as good as all
            steps.append((here or 0, column ^ full))  # bit i of the second: the subsequence grows with token i
        below = len(first)
        for here, grows in reversed(steps):
            below = ((grows | here) & ((1 << below) - 1)).bit_length()  # where it grows, or the two agree
            if below and here >> (below - 1) & 1:
                below -= 1
                united |= 1 << below
    return united


def places_of(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """For each token the places where it stands, as bits."""
    places: dict[Hashable, int] = {}
    for place, token in enumerate(tokens):
        places[token] = places.get(token, 0) | 1 << place
    return places
