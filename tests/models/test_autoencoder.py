"""Autoencoders of pictures: the likelihood is Bernoulli's, the bounds bound, and a vector learns to hold a picture."""

import itertools
import math

import pytest
import torch
from torch.distributions import Bernoulli

from inkstone.errors import RecipeError
from inkstone.models.autoencoder import Autoencoder, AutoencoderSettings


def autoencoder(**changes) -> Autoencoder:
    settings = AutoencoderSettings(**{**dict(pixels=6, latent=2, hidden=16), **changes})
    return Autoencoder(settings).initialise(torch.Generator().manual_seed(0)).eval()


def all_pictures(pixels: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=pixels)))


def test_cross_entropy_is_a_bernoulli_likelihood_and_a_squared_error_is_not():
    model, pictures = autoencoder(), all_pictures(6)
    z = torch.tensor([[0.4, -1.1]])
    with torch.no_grad():
        told = model.told(pictures, z.expand(64, -1))
        probability = model.decode(z)
    torch.testing.assert_close(told, Bernoulli(probability).log_prob(pictures).sum(1))
    assert told.exp().sum().item() == pytest.approx(1, abs=1e-5)  # a distribution over all pictures
    squared = -(pictures - probability).square().sum(1)
    assert abs(squared.exp().sum().item() - 1) > 1  # no log-likelihood of pixels that are 0 or 1


def test_the_cross_entropy_of_grey_values_is_no_likelihood():
    """Of one pixel with π = 0.9, over all grey values in between: it is a density only with a factor of its own."""
    grey = torch.linspace(0, 1, 1001)
    density = torch.exp(grey * math.log(0.9) + (1 - grey) * math.log(0.1))
    assert torch.trapezoid(density, grey).item() == pytest.approx(0.364, abs=1e-3)


def test_bounds_are_those_of_the_integral():
    model, pictures = autoencoder(), all_pictures(6)[::9]
    axis = torch.linspace(-6, 6, 81)
    grid = torch.cartesian_prod(axis, axis)
    step = float(axis[1] - axis[0])
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(grid).sum(1) + 2 * math.log(step)
    found = model.bounds(pictures, 3000, torch.Generator().manual_seed(0))
    for at, picture in enumerate(pictures):
        with torch.no_grad():
            exact = (model.told(picture.expand(len(grid), -1), grid) + prior).logsumexp(0)
        assert found.elbo[at] < exact
        assert found.importance[at].item() == pytest.approx(exact.item(), abs=0.05)


def test_the_loss_is_the_negative_elbo():
    model, pictures = autoencoder(), all_pictures(6)
    found = model.bounds(pictures, 500, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        losses = [model.loss(pictures, generator).item() for _ in range(200)]
    assert sum(losses) / 200 == pytest.approx(-found.elbo.mean().item(), abs=0.02)


def stripes(count: int, generator: torch.Generator) -> torch.Tensor:
    """One of four rows of a 4 × 4 picture is black."""
    return torch.eye(4)[torch.randint(0, 4, (count,), generator=generator)].repeat_interleave(4, dim=1)


@pytest.mark.parametrize("variational", [True, False])
def test_it_learns_to_hold_a_picture(variational):
    model = autoencoder(pixels=16, hidden=32, variational=variational)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(2)
    for _ in range(600):
        optimizer.zero_grad()
        model.loss(stripes(32, generator), generator).backward()
        optimizer.step()
    pictures = torch.eye(4).repeat_interleave(4, dim=1)
    with torch.no_grad():
        again = model.decode(model.encode(pictures)[0])
    assert torch.equal(again.round(), pictures)
    if variational:  # four pictures, equally frequent: log 4 = 1.39 nats are the least
        bound = -model.bounds(pictures, 200, generator).importance.mean().item()
        assert math.log(4) - 0.05 < bound < 2.2
        drawn = model.sample(200, generator).round()
        assert (drawn[:, None] == pictures[None]).all(-1).any(-1).float().mean() > 0.8


def test_a_plain_autoencoder_has_no_bound():
    with pytest.raises(RecipeError, match="no distribution"):
        autoencoder(variational=False).bounds(all_pictures(6), 2, None)


def test_the_plane_runs_along_two_units_in_steps_of_equal_probability():
    model = autoencoder(latent=3)
    cells = model.plane(3, (2, 0))
    places = torch.special.ndtri(torch.tensor([1 / 6, 1 / 2, 5 / 6]))
    with torch.no_grad():
        torch.testing.assert_close(cells[1], model.decode(torch.tensor([[places[0], 0.0, places[1]]]))[0])
        torch.testing.assert_close(cells[2], model.decode(torch.tensor([[places[0], 0.0, places[2]]]))[0])


def test_draws_hold_under_a_seed():
    model = autoencoder()
    one, other = (model.sample(5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["pixels", "latent", "hidden"])
def test_impossible_shapes_are_refused(name):
    with pytest.raises(RecipeError, match=f"{name} = 0"):
        autoencoder(**{name: 0})
