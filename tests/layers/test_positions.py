"""Sinusoids against the formula of the paper, written out."""

import math

import pytest
import torch

from inkstone.layers.positions import places_in_documents, sinusoids


@pytest.mark.parametrize("width", [2, 6, 32])
def test_sinusoids(width):
    places = torch.tensor([[0, 1, 7], [512, 3, 3]])
    found = sinusoids(places, width)
    for row in range(2):
        for column in range(3):
            for i in range(width // 2):
                angle = int(places[row, column]) / 10_000 ** (2 * i / width)
                assert found[row, column, i].item() == pytest.approx(math.sin(angle), abs=1e-6)
                assert found[row, column, width // 2 + i].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_places_begin_again_with_each_document():
    ids = torch.zeros(2, 5, dtype=torch.long)
    document = torch.tensor([[0, 0, 1, 1, -1], [3, 4, 5, 5, 5]])
    assert places_in_documents(ids, document).tolist() == [[0, 1, 0, 1, 0], [0, 0, 0, 1, 2]]
    assert places_in_documents(ids, None, start=3)[0].tolist() == [3, 4, 5, 6, 7]
