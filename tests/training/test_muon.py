"""Muon against torch's own, against the singular value decomposition, and stacked against separate."""

import pytest
import torch

from inkstone.training.muon import Muon, orthogonalise

SHAPES = [(24, 24), (48, 16), (16, 48)]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_one_and_the_singular_vectors_stay(shape):
    matrix = draw(*shape)
    found = orthogonalise(matrix[None])[0]
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ found @ v.T  # diagonal where the singular vectors are the same
    assert (inside - inside.diag().diag()).abs().max() < 1e-4
    assert inside.diag().min() > 0.6
    assert inside.diag().max() < 1.3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_equals_its_matrices_one_by_one(shape):
    stack = draw(5, *shape) * torch.logspace(-3, 3, 5)[:, None, None]
    single = torch.stack([orthogonalise(matrix[None])[0] for matrix in stack])
    torch.testing.assert_close(orthogonalise(stack), single, rtol=1e-5, atol=1e-5)


def test_the_scale_of_the_gradient_does_not_matter_and_zero_stays_zero():
    matrix = draw(1, 12, 20)
    torch.testing.assert_close(orthogonalise(matrix * 1e-4), orthogonalise(matrix), rtol=1e-3, atol=1e-3)
    assert orthogonalise(torch.zeros(1, 4, 4)).eq(0).all()


def run_both(shape, steps=6, lr=0.02, momentum=0.95, weight_decay=0.1):
    """The same gradients through torch.optim.Muon and ours: final weights and the way there."""
    start = draw(*shape, seed=1) / shape[1] ** 0.5
    theirs, ours = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    # Both average the gradient (M ← μ M + (1 − μ) G), look ahead (Nesterov), and scale by √max(1, rows/columns):
    # "original" in torch. Torch iterates in bfloat16, ours in the format of the weights.
    peer = torch.optim.Muon([theirs], lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="original")
    mine = Muon([(ours, (shape[0],))], lr=lr, momentum=momentum, weight_decay=weight_decay)
    for step in range(steps):
        theirs.grad = draw(*shape, seed=10 + step)
        ours.grad = theirs.grad.clone()
        peer.step()
        mine.step()
    return start, theirs.detach(), ours.detach(), peer.state[theirs]["momentum_buffer"], mine.state[ours]["momentum"]


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torch_at_the_same_settings(shape):
    start, theirs, ours, their_momentum, our_momentum = run_both(shape)
    torch.testing.assert_close(our_momentum, their_momentum)
    moved = theirs - start
    assert (ours - theirs).norm() < 0.02 * moved.norm()  # bfloat16 keeps three digits
    assert moved.norm() > 0.02


def test_maps_stacked_in_one_weight_are_treated_one_by_one():
    rows = (8, 4, 4)
    whole = torch.nn.Parameter(draw(16, 12))
    parts = [torch.nn.Parameter(part.clone()) for part in whole.detach().split(rows)]
    stacked = Muon([(whole, rows)], lr=0.1, weight_decay=0.01)
    separate = Muon([(part, (len(part),)) for part in parts], lr=0.1, weight_decay=0.01)
    for step in range(3):
        whole.grad = draw(16, 12, seed=step + 5)
        for part, grad in zip(parts, whole.grad.split(rows), strict=True):
            part.grad = grad.clone()
        stacked.step()
        separate.step()
    torch.testing.assert_close(whole.detach(), torch.cat([part.detach() for part in parts]), rtol=1e-5, atol=1e-6)


def test_a_weight_without_gradient_stays():
    still, moving = torch.nn.Parameter(draw(4, 4)), torch.nn.Parameter(draw(4, 4))
    before = still.detach().clone()
    moving.grad = draw(4, 4, seed=3)
    Muon([(still, (4,)), (moving, (4,))], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(still.detach(), before)
