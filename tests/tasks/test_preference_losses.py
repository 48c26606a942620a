"""The losses of pairs against their closed forms, in double precision, and their gradients against finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F

from inkstone.tasks.preference_losses import log_of_rest, pair_losses

MODEL = torch.tensor([[-12.0, -10.0], [-3.0, -30.0], [-80.0, -7.0]], dtype=torch.float64)
REFERENCE = torch.tensor([[-13.0, -9.0], [-3.5, -28.0], [-60.0, -9.0]], dtype=torch.float64)
TOKENS = torch.tensor([[6.0, 4.0], [3.0, 12.0], [9.0, 5.0]], dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("beta", [0.05, 0.3])
def test_dpo_is_its_closed_form(beta):
    losses = pair_losses("dpo", beta, MODEL, REFERENCE, TOKENS)
    for loss, (won, lost), (won_before, lost_before) in zip(losses, MODEL.tolist(), REFERENCE.tolist(), strict=True):
        h = (won - won_before) - (lost - lost_before)
        assert float(loss) == pytest.approx(-math.log(sigmoid(beta * h)), rel=1e-9)


def test_dpo_of_a_model_as_it_began_is_log_2_and_its_slope_is_half_of_beta():
    model = REFERENCE.clone().requires_grad_()
    losses = pair_losses("dpo", 0.2, model, REFERENCE, TOKENS)
    assert losses.tolist() == pytest.approx([math.log(2)] * 3)
    (slope,) = torch.autograd.grad(losses.sum(), model)
    assert slope.tolist() == [pytest.approx([-0.1, 0.1])] * 3  # −β σ(−βh), in both directions


@pytest.mark.parametrize("beta", [0.05, 0.3])
def test_ipo_is_its_closed_form_and_has_its_least_where_the_difference_is_half_of_its_inverse(beta):
    losses = pair_losses("ipo", beta, MODEL, REFERENCE, TOKENS)
    h = (MODEL[:, 0] - REFERENCE[:, 0]) - (MODEL[:, 1] - REFERENCE[:, 1])
    assert losses.tolist() == pytest.approx([(float(each) - 0.5 / beta) ** 2 for each in h])
    met = REFERENCE + torch.tensor([0.5 / beta, 0.0])
    assert pair_losses("ipo", beta, met, REFERENCE, TOKENS).abs().max() < 1e-9


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_orpo_is_its_closed_form(beta):
    losses = pair_losses("orpo", beta, MODEL, None, TOKENS)
    for loss, chances, tokens in zip(losses, MODEL.tolist(), TOKENS.tolist(), strict=True):
        won, lost = (math.exp(chance / count) for chance, count in zip(chances, tokens, strict=True))
        ratio = (won / (1 - won)) / (lost / (1 - lost))
        expected = -math.log(won) - beta * math.log(sigmoid(math.log(ratio)))
        assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_orpo_is_the_formula_of_the_paper_in_log_space():
    mean = MODEL / TOKENS
    odds = (mean[:, 0] - mean[:, 1]) - (torch.log1p(-mean[:, 0].exp()) - torch.log1p(-mean[:, 1].exp()))
    expected = -mean[:, 0] - 0.1 * F.logsigmoid(odds)
    torch.testing.assert_close(pair_losses("orpo", 0.1, MODEL, None, TOKENS), expected)


@pytest.mark.parametrize("objective", ["dpo", "ipo", "orpo"])
def test_gradients_equal_finite_differences(objective):
    model = MODEL.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pair_losses(objective, 0.2, x, REFERENCE, TOKENS), (model,))


def test_the_rest_of_a_chance_is_right_near_one_and_far_below_it():
    x = torch.tensor([-1e-5, -0.5, -math.log(2), -0.7, -40.0], dtype=torch.float64, requires_grad=True)
    rest = log_of_rest(x)
    assert rest.tolist() == pytest.approx([math.log(-math.expm1(each)) for each in x.tolist()], rel=1e-9)
    (slope,) = torch.autograd.grad(rest.sum(), x)
    assert slope.isfinite().all() and log_of_rest(torch.zeros(1, requires_grad=True)).isfinite().all()
