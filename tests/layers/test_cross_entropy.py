"""The chunked loss against F.cross_entropy, its gradients against finite differences."""

import pytest
import torch
import torch.nn.functional as F

from inkstone.layers import cross_entropy as module
from inkstone.layers.cross_entropy import linear_cross_entropy, smoothed_nats, token_nats


def case(n: int, width: int, v: int, dtype=torch.float64):
    generator = torch.Generator().manual_seed(n + v)
    hidden = torch.randn(n, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(v, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(0, v, (n,), generator=generator)


@pytest.fixture(params=["one chunk", "several chunks"])
def chunks(request, monkeypatch):
    if request.param == "several chunks":
        monkeypatch.setattr(module, "CHUNK_NUMBERS", 1)  # then 64 rows at once


@pytest.mark.parametrize(("n", "v"), [(1, 2), (64, 11), (150, 7), (200, 300)])
def test_loss_and_gradients_in_double_precision(n, v, chunks):
    hidden, weight, targets = case(n, 8, v)
    loss = linear_cross_entropy(hidden, weight, targets)
    grads = torch.autograd.grad(loss * 3, (hidden, weight))
    expected = F.cross_entropy(hidden @ weight.T, targets)
    expected_grads = torch.autograd.grad(expected * 3, (hidden, weight))
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    for grad, other in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_and_gradients_in_short_types(dtype, chunks):
    hidden, weight, targets = case(150, 16, 40, dtype)
    loss = linear_cross_entropy(hidden, weight, targets)
    grads = torch.autograd.grad(loss, (hidden, weight))
    wide = hidden.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    expected = F.cross_entropy(wide[0] @ wide[1].T, targets)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance)
    for grad, other in zip(grads, torch.autograd.grad(expected, wide), strict=True):
        assert grad.dtype == dtype
        assert (grad.double() - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("which", ["hidden", "weight"])
def test_gradients_equal_finite_differences(which, chunks):
    """(L(x + h) − L(x − h)) / 2h in some directions; the loss is returned in single precision, hence the wide step."""
    hidden, weight, targets = case(70, 5, 9)
    tensor = hidden if which == "hidden" else weight
    (grad,) = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets), tensor)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        step = 1e-2
        with torch.no_grad():
            losses = []
            for sign in (1, -1):
                moved = tensor + sign * step * direction
                arguments = (moved, weight) if which == "hidden" else (hidden, moved)
                losses.append(linear_cross_entropy(*arguments, targets).double())
        slope = (losses[0] - losses[1]) / (2 * step)
        assert float((grad * direction).sum()) == pytest.approx(float(slope), abs=3e-5)


def test_only_the_gradients_that_are_asked_for():
    hidden, weight, targets = case(10, 4, 6)
    linear_cross_entropy(hidden.detach(), weight, targets).backward()
    assert weight.grad is not None and hidden.grad is None
    with torch.no_grad():
        assert not linear_cross_entropy(hidden, weight, targets).requires_grad


def test_large_logits_stay_finite():
    hidden, weight, targets = case(10, 4, 6, torch.float32)
    loss = linear_cross_entropy(hidden * 1e4, weight, targets)
    loss.backward()
    assert loss.isfinite() and hidden.grad.isfinite().all() and weight.grad.isfinite().all()


@pytest.mark.parametrize(("n", "v"), [(1, 2), (150, 7), (200, 300)])
def test_nats_of_single_tokens_and_gradients_of_any_sum_of_them(n, v, chunks):
    hidden, weight, targets = case(n, 8, v)
    counts = torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    nats, expected = token_nats(hidden, weight, targets), F.cross_entropy(hidden @ weight.T, targets, reduction="none")
    torch.testing.assert_close(nats.double(), expected, rtol=1e-5, atol=1e-6)
    grads = torch.autograd.grad((nats.double() * counts).sigmoid().sum(), (hidden, weight))
    others = torch.autograd.grad((expected * counts).sigmoid().sum(), (hidden, weight))
    for grad, other in zip(grads, others, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-5)


def test_nats_of_single_tokens_in_bfloat16_and_gradients_that_are_asked_for(chunks):
    hidden, weight, targets = case(150, 16, 40, torch.bfloat16)
    token_nats(hidden.detach(), weight, targets).sum().backward()
    wide = weight.detach().double().requires_grad_()
    F.cross_entropy(hidden.detach().double() @ wide.T, targets, reduction="sum").backward()
    assert hidden.grad is None and weight.grad.dtype == torch.bfloat16
    assert (weight.grad.double() - wide.grad).norm() <= 2e-2 * wide.grad.norm()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_smoothed_nats_and_their_gradients_are_those_of_torch(smoothing):
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(130, 8, generator=generator), torch.randn(50, 8, generator=generator)
    targets, counts = torch.randint(0, 50, (130,), generator=generator), torch.rand(130, generator=generator)
    found = []
    for nats in (
        lambda h, w: smoothed_nats(h, w, targets, smoothing),
        lambda h, w: F.cross_entropy(h @ w.T, targets, reduction="none", label_smoothing=smoothing),
    ):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        each = nats(h, w)
        (each * counts).sum().backward()
        found.append((each.detach(), h.grad, w.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
