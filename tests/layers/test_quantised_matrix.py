"""Matrices of small integers, against the formula written out number by number."""

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.layers.quantised_matrix import QuantisedEmbedding, QuantisedLinear, QuantisedMatrix


def weight(n: int, k: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Rows of very different size, whose numbers do not lie around zero.
    return torch.randn(n, k, generator=generator) * torch.logspace(-3, 1, n)[:, None] + 0.3


def by_the_formula(matrix: QuantisedMatrix) -> torch.Tensor:
    """w = s (q − z), one number after another; z = 8 − o/s with 4 bits."""
    n, k = matrix.shape
    levels, found = matrix.levels().tolist(), torch.empty(n, k)
    for row in range(n):
        for column in range(k):
            q = levels[row][column]
            if matrix.bits == 8:
                found[row, column] = matrix.scale[row].item() * q
            else:
                assert matrix.offset is not None
                s = matrix.scale[row, column // matrix.group].item()
                z = 8 - matrix.offset[row, column // matrix.group].item() / s
                found[row, column] = s * (q - z)
    return found


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("k", [64, 48, 32])
def test_it_stands_for_what_the_formula_says(bits, k):
    matrix = QuantisedMatrix.of(weight(6, k), bits)
    torch.testing.assert_close(matrix.dense(), by_the_formula(matrix), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bits", [8, 4])
def test_no_number_is_further_off_than_a_step_and_most_are_within_half(bits):
    w = weight(40, 96)
    matrix = QuantisedMatrix.of(w, bits)
    scale = matrix.scale.float()
    step = scale[:, None] if bits == 8 else scale.repeat_interleave(matrix.group, 1)
    off = (matrix.dense() - w).abs() / step
    assert (off <= 0.51).float().mean() > 0.9
    levels = matrix.levels()
    assert levels.min() >= (-127 if bits == 8 else 0) and levels.max() <= (127 if bits == 8 else 15)


def test_of_several_ranges_that_of_the_least_error_stays():
    w = torch.zeros(1, 64)
    w[0] = torch.linspace(-1, 1, 64)
    w[0, 7] = 1.2  # an outlier in the first group, which is worth cutting off
    matrix = QuantisedMatrix.of(w, 4)
    group, levels = w[0, :32], 15
    plain_scale = (group.max() - group.min()) / levels
    plain = ((group - group.min()) / plain_scale).round() * plain_scale + group.min()
    assert (matrix.dense()[0, :32] - group).square().sum() < (plain - group).square().sum()


@pytest.mark.parametrize("bits", [8, 4])
def test_rows_that_are_all_alike_and_zeros_come_back(bits):
    w = torch.stack((torch.zeros(64), torch.full((64,), 0.25), torch.full((64,), -3.0)))
    torch.testing.assert_close(QuantisedMatrix.of(w, bits).dense(), w, atol=0, rtol=0.005)


@pytest.mark.parametrize("bits", [8, 4])
def test_linear_and_embedding_compute_with_the_dense_weights(bits):
    matrix = QuantisedMatrix.of(weight(10, 64), bits)
    bias = torch.randn(10, generator=torch.Generator().manual_seed(2))
    x = torch.randn(3, 2, 64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(QuantisedLinear(matrix, bias)(x), x @ matrix.dense().T + bias)
    ids = torch.tensor([[3, 9], [0, 3]])
    torch.testing.assert_close(QuantisedEmbedding(matrix)(ids), matrix.dense()[ids])


def test_a_number_takes_its_bits():
    plain, sizes = 64 * 512, {}
    for bits in (8, 4):
        sizes[bits] = sum(tensor.nbytes for tensor in QuantisedMatrix(64, 512, bits).buffers())
    assert sizes == {8: plain + 4 * 64, 4: plain // 2 + 2 * 2 * 64 * 512 // 32}


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="5 bits"):
        QuantisedMatrix(4, 64, 5)
    with pytest.raises(RecipeError, match="50 numbers"):
        QuantisedMatrix(4, 50, 4)
