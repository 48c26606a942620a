"""Gradients by hand against autograd, steps by hand against torch.optim, and where zeros are no place to begin."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from inkstone.errors import RecipeError
from inkstone.models.gradient_descent import Adam, Descent
from inkstone.models.perceptron import Perceptron, cross_entropy, log_softmax

SHAPES = [(5, 3), (5, 4, 3), (5, 4, 6, 3)]


def example(examples: int = 20, inputs: int = 5, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Clouds around one centre a class."""
    generator = torch.Generator().manual_seed(7)
    y = torch.randint(0, classes, (examples,), generator=generator)
    centres = 2 * torch.randn(classes, inputs, generator=generator)
    return centres[y] + torch.randn(examples, inputs, generator=generator), y


def perceptron(widths: tuple[int, ...]) -> Perceptron:
    return Perceptron(widths).initialise(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("widths", SHAPES)
def test_gradients_by_hand_are_those_of_autograd(widths):
    model = perceptron(widths).double()
    x, y = example()
    loss, gradients = model.gradients(x.double(), y)
    expected = F.cross_entropy(model(x.double()), y)
    torch.testing.assert_close(loss, expected.detach())
    expected.backward()
    for ours, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad)


def test_softmax_of_large_numbers_is_finite():
    logits = torch.tensor([[10_000.0, 9_999.0, -10_000.0]])
    assert torch.isnan(logits.exp() / logits.exp().sum()).any()  # without the maximum taken off
    torch.testing.assert_close(log_softmax(logits), F.log_softmax(logits, dim=1))
    assert cross_entropy(logits, torch.tensor([2])).isfinite()


def test_a_softmax_before_the_cross_entropy_leaves_a_loss_that_no_certainty_takes_away():
    sure = 100 * torch.eye(10)
    classes = torch.arange(10)
    assert cross_entropy(sure, classes) < 1e-6
    twice = cross_entropy(sure.softmax(dim=1), classes)
    assert float(twice) == pytest.approx(math.log(math.e + 9) - 1, abs=1e-5)  # 1.46 nats at the very best


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda p: Descent(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (lambda p: Descent(p, 0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, 0.9)),
        (lambda p: Adam(p, 0.01), lambda p: torch.optim.Adam(p, 0.01)),
        (lambda p: Adam(p, 0.1, 0.5, 0.9, 1e-3), lambda p: torch.optim.Adam(p, 0.1, (0.5, 0.9), 1e-3)),
    ],
    ids=["SGD", "momentum", "Adam", "Adam with other settings"],
)
def test_steps_by_hand_are_those_of_torch(ours, theirs):
    x, y = example()
    by_hand, by_torch = perceptron((5, 4, 3)).double(), perceptron((5, 4, 3)).double()
    one, other = ours(list(by_hand.parameters())), theirs(by_torch.parameters())
    for _ in range(20):
        _, gradients = by_hand.gradients(x.double(), y)
        one.step(gradients)
        other.zero_grad()
        F.cross_entropy(by_torch(x.double()), y).backward()
        other.step()
    for left, right in zip(by_hand.parameters(), by_torch.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-12)


def trained(model: Perceptron, steps: int = 500) -> list[float]:
    x, y = example(200)
    descent = Descent(list(model.parameters()), 0.2)
    losses = []
    for _ in range(steps):
        loss, gradients = model.gradients(x, y)
        losses.append(float(loss))
        descent.step(gradients)
    return losses


def test_zeros_are_fine_for_softmax_regression():
    """Its loss is convex: from zeros and from elsewhere it goes to the same place, downhill all the way."""
    from_zeros, from_elsewhere = trained(Perceptron((5, 3)), 2000), trained(perceptron((5, 3)), 2000)
    assert all(after <= before for before, after in pairwise(from_zeros))
    assert from_zeros[0] == pytest.approx(math.log(3)) and from_zeros[-1] < 0.2
    assert from_zeros[-1] == pytest.approx(from_elsewhere[-1], abs=0.01)


def test_zeros_are_fatal_for_hidden_layers():
    model = Perceptron((5, 16, 3))
    losses = trained(model)
    assert not any(weight.any() for weight in model.weights)
    _, y = example(200)
    share = torch.bincount(y) / len(y)
    assert losses[-1] == pytest.approx(float(-(share * share.log()).sum()), abs=1e-4)  # it knows the shares, no more
    assert trained(perceptron((5, 16, 3)))[-1] < 0.2


def test_a_perceptron_without_an_output_is_refused():
    with pytest.raises(RecipeError, match="widths"):
        Perceptron([4])
