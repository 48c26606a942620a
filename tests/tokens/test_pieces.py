"""Packed rows cut into pieces, against a plain loop."""

import torch
from hypothesis import given, strategies as st

from inkstone.tokens.pieces import cut_pieces


def by_loop(ids, targets, document, longest):
    found = []
    for row in range(len(ids)):
        piece, before = [], None
        for at in range(len(ids[row])):
            number = document[row][at]
            if piece and (number != before or len(piece) == longest):
                found.append(piece)
                piece = []
            piece.append((ids[row][at], targets[row][at]))
            before = number
        found.append(piece)
    return found


@given(st.data())
def test_pieces_are_those_of_the_loop(data):
    b, t = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 20))
    longest = data.draw(st.integers(1, 22))
    steps = data.draw(st.lists(st.lists(st.booleans(), min_size=t, max_size=t), min_size=b, max_size=b))
    document = torch.tensor(steps).int().cumsum(1)
    ids = torch.arange(b * t).view(b, t)
    targets = ids + 1000
    pieces = cut_pieces(ids, targets, document, longest)
    expected = by_loop(ids.tolist(), targets.tolist(), document.tolist(), longest)
    assert len(pieces) == len(expected) and pieces.valid.shape[1] == max(map(len, expected))
    for at, piece in enumerate(expected):
        valid = pieces.valid[at]
        assert valid.tolist() == [True] * len(piece) + [False] * (valid.shape[0] - len(piece))
        assert list(zip(pieces.inputs[at, valid].tolist(), pieces.targets[at, valid].tolist(), strict=True)) == piece


def test_rows_without_documents_are_cut_by_length_alone():
    ids = torch.arange(10).view(2, 5)
    pieces = cut_pieces(ids, ids, None, 3)
    assert pieces.inputs.tolist() == [[0, 1, 2], [3, 4, 0], [5, 6, 7], [8, 9, 0]]


def test_some_of_the_pieces_are_as_wide_as_they_need():
    ids = torch.arange(10).view(2, 5)
    pieces = cut_pieces(ids, ids, None, 3).rows(torch.tensor([3, 1]))
    assert pieces.inputs.tolist() == [[8, 9], [3, 4]] and pieces.valid.all()
