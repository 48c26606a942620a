"""Dropout leaves out the share that it is told to, and keeps the mean."""

import pytest
import torch

from inkstone.layers.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_as_many_numbers_are_left_out_as_are_asked_for_and_the_others_grow(share, dtype):
    torch.manual_seed(0)
    y = dropout(torch.ones(401, 500, dtype=dtype), share, training=True)
    left_out = (y == 0).float().mean().item()
    assert left_out == pytest.approx(share, abs=0.005)
    kept = y[y != 0]
    assert (kept == kept[0]).all() and kept[0].item() == pytest.approx(1 / (1 - share), rel=0.01)


def test_neighbours_are_left_out_independently():
    torch.manual_seed(1)
    kept = dropout(torch.ones(200_000), 0.5, training=True) != 0
    for apart in range(1, 9):
        assert (kept[apart:] == kept[:-apart]).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_the_gradient_goes_where_the_numbers_went():
    torch.manual_seed(2)
    x = torch.randn(7, 3, requires_grad=True)
    y = dropout(x, 0.4, training=True)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_nothing_happens_to_a_model_that_does_not_learn_or_drops_nothing():
    x = torch.randn(5)
    assert dropout(x, 0.5, training=False) is x and dropout(x, 0.0, training=True) is x


def test_a_share_too_small_for_four_draws_at_once_leaves_out_next_to_nothing():
    torch.manual_seed(4)
    y = dropout(torch.ones(1000), 1e-7, training=True)
    assert torch.allclose(y, torch.ones(1000))


def test_the_same_seed_draws_the_same():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(dropout(torch.ones(33), 0.5, training=True))
    assert torch.equal(*drawn)
