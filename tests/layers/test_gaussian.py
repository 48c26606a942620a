"""The closed forms of diagonal normal distributions against torch.distributions, and the bounds against exact integrals."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from inkstone.layers.gaussian import (
    active_units,
    draw,
    free_bits,
    importance_bound,
    kl_to_standard_normal,
    log_density,
    mutual_information,
)


def some_posterior(n: int = 50, z: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, z, generator=generator) * 2, torch.randn(n, z, generator=generator) * 2


def test_kl_is_that_of_torch_distributions():
    mean, log_variance = some_posterior()
    oracle = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(()), torch.ones(())))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), oracle, rtol=1e-4, atol=1e-5)


def test_kl_is_never_negative_and_zero_at_the_prior_alone():
    mean, log_variance = some_posterior(2000)
    assert (kl_to_standard_normal(mean, log_variance) > 0).all()
    assert kl_to_standard_normal(torch.zeros(3), torch.zeros(3)).tolist() == [0, 0, 0]


def test_the_copied_form_without_the_last_term_is_unbounded_below():
    """−½ Σ (1 + log σ² − μ²): the larger σ the smaller the 'loss', without end; the right form turns upwards."""
    log_variance = torch.tensor([1.0, 10.0, 40.0, 80.0])
    copied = -0.5 * (1 + log_variance)
    right = kl_to_standard_normal(torch.zeros(4), log_variance)
    assert (copied.diff() < 0).all() and copied[-1] < -40
    assert (right.diff() > 0).all() and (right >= 0).all()
    # Followed downhill from the same place, one ends at the prior, the other nowhere.
    ends = {}
    for name in ("copied", "right"):
        place = torch.tensor([0.5], requires_grad=True)
        optimizer = torch.optim.SGD([place], lr=0.5)
        for _ in range(200):
            loss = (-0.5 * (1 + place) if name == "copied" else kl_to_standard_normal(torch.zeros(1), place)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends[name] = place.item()
    assert abs(ends["right"]) < 1e-4 and ends["copied"] > 45


def test_density_is_that_of_torch_distributions():
    mean, log_variance = some_posterior()
    z = torch.randn(7, 50, 4, generator=torch.Generator().manual_seed(1))
    oracle = Independent(Normal(mean, (log_variance / 2).exp()), 1).log_prob(z)
    torch.testing.assert_close(log_density(z, mean, log_variance), oracle, rtol=1e-4, atol=1e-3)


def test_draws_have_the_mean_and_variance_and_carry_gradients():
    mean = torch.tensor([[1.0, -2.0]]).expand(40_000, 2).clone().requires_grad_()
    log_variance = torch.tensor([[0.0, math.log(4)]]).expand(40_000, 2)
    z = draw(mean, log_variance, torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean(0), torch.tensor([1.0, -2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(z.var(0), torch.tensor([1.0, 4.0]), atol=0.1, rtol=0)
    z.sum().backward()
    assert mean.grad is not None and (mean.grad == 1).all()
    assert torch.equal(z, draw(mean, log_variance, torch.Generator().manual_seed(0)))


def test_free_bits_bind_the_mean_of_each_unit():
    kl = torch.tensor([[0.1, 3.0], [0.3, 1.0]], requires_grad=True)
    assert free_bits(kl, 0.5).item() == pytest.approx(0.5 + 2.0)
    assert free_bits(kl, 0.0).item() == pytest.approx(0.2 + 2.0)
    (slope,) = torch.autograd.grad(free_bits(kl, 0.5), kl)
    assert slope.tolist() == [[0, 0.5], [0, 0.5]]  # a unit below its free bits is not pushed


def gaussian_example(draws: int, seed: int) -> tuple[torch.Tensor, float]:
    """z ~ N(0, 1), x|z ~ N(z, 1), hence x ~ N(0, 2); weights of draws from a q that is off, and log p(x)."""
    x = torch.tensor([[1.3]])
    mean, log_variance = torch.tensor([[0.2]]), torch.tensor([[0.0]])
    generator = torch.Generator().manual_seed(seed)
    z = torch.cat([draw(mean, log_variance, generator) for _ in range(draws)])[:, None]
    one, zero = torch.zeros(1, 1), torch.zeros(1, 1)
    weights = log_density(x - z, zero, one) + log_density(z, zero, one) - log_density(z, mean, log_variance)
    return weights, Normal(0.0, math.sqrt(2)).log_prob(torch.tensor(1.3)).item()


def test_the_bound_rises_with_its_draws_to_the_likelihood():
    means = {}
    for draws in (1, 10, 100):
        found = [importance_bound(gaussian_example(draws, seed)[0]).item() for seed in range(300)]
        means[draws] = sum(found) / len(found)
    weights, exact = gaussian_example(20_000, 0)
    assert means[1] < means[10] < means[100] < exact + 0.01
    assert importance_bound(weights).item() == pytest.approx(exact, abs=0.02)
    assert means[1] < exact - 0.1


def test_one_weight_is_its_own_bound():
    assert importance_bound(torch.tensor([[-3.0, 2.0]])).tolist() == [-3, 2]


def test_units_are_active_where_their_means_vary():
    means = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.2, 0.05, 0.0]) + 3
    assert active_units(means) == 2


def test_mutual_information_of_far_and_of_equal_posteriors():
    n = 64
    apart = torch.arange(n)[:, None] * 100.0
    narrow = torch.zeros(n, 1)
    assert mutual_information(apart, apart, narrow).item() == pytest.approx(math.log(n), abs=1e-4)
    same = torch.zeros(n, 1)
    z = draw(same, narrow, torch.Generator().manual_seed(0))
    assert mutual_information(z, same, narrow).item() == pytest.approx(0, abs=1e-5)
