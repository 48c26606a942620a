"""Diagonal normal distributions, as variational autoencoders use them (Kingma & Welling 2014).

The posterior q(z|x) = N(μ, diag σ²) is given by its mean and the logarithm of its variance; the prior p(z) is N(0, I). In
closed form (appendix B of the paper)

    KL(q ‖ p) = −½ Σ (1 + log σ² − μ² − σ²)  ≥ 0,    0 only at μ = 0, σ = 1

Without the last term, −½ Σ (1 + log σ² − μ²), the sum would fall without bound as σ grows, and training would chase it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def kl_to_standard_normal(mean: Float[Tensor, "*b z"], log_variance: Float[Tensor, "*b z"]) -> Float[Tensor, "*b z"]:
    """KL(N(μ, σ²) ‖ N(0, 1)) of every unit, in nats; sum over the last axis for that of the vector.

    >>> kl_to_standard_normal(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 0.0]))
    tensor([0., 2.])
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def draw(
    mean: Float[Tensor, "n z"], log_variance: Float[Tensor, "n z"], generator: torch.Generator | None
) -> Float[Tensor, "n z"]:
    """z = μ + σ ε with ε ~ N(0, I): the draw as a function of μ and σ, so that gradients reach them."""
    return mean + (log_variance / 2).exp() * standard_normal(mean.shape, generator, mean)


def standard_normal(shape: torch.Size | tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Numbers from N(0, 1), drawn where the generator lives, in the type and place of `like`."""
    device = like.device if generator is None else generator.device
    return torch.randn(shape, generator=generator, device=device).to(like)


def log_density(
    z: Float[Tensor, "*#b z"], mean: Float[Tensor, "*#b z"], log_variance: Float[Tensor, "*#b z"]
) -> Float[Tensor, "*_"]:
    """log N(z; μ, diag σ²) = −½ Σ (log 2π + log σ² + (z − μ)² / σ²)."""
    return -0.5 * (math.log(2 * math.pi) + log_variance + (z - mean).square() / log_variance.exp()).sum(-1)


def free_bits(kl: Float[Tensor, "n z"], least: float) -> Float[Tensor, ""]:
    """Σ over units of max(least, mean KL of the unit over the batch): below `least` nats a unit costs the same, so nothing
    pushes it further towards saying nothing (Kingma et al. 2016, section 2.4 and appendix C.8).
    """
    return kl.mean(0).clamp_min(least).sum()


def importance_bound(log_weights: Float[Tensor, "k n"]) -> Float[Tensor, " n"]:
    """log (1/k) Σ wᵢ, wᵢ = p(x, zᵢ) / q(zᵢ|x): a lower bound of log p(x) that rises with k (Burda et al. 2016, equation 8).

    With one sample it is the evidence lower bound (ELBO), estimated.
    """
    return log_weights.logsumexp(0) - math.log(log_weights.shape[0])


def active_units(means: Float[Tensor, "n z"], threshold: float = 0.01) -> int:
    """Units whose posterior mean varies over the data with a variance above `threshold` (Burda et al. 2016, section 5.2)."""
    return int((means.var(0, correction=0) > threshold).sum())


def mutual_information(
    z: Float[Tensor, "n z"], mean: Float[Tensor, "n z"], log_variance: Float[Tensor, "n z"]
) -> Float[Tensor, ""]:
    """Nats that z tells of which of the n texts it came from: E log q(z|x) − E log q(z), q(z) the mixture of the n posteriors.

    An estimate from one draw `z` for each text (Hoffman & Johnson 2016; Dieng et al. 2019). It cannot exceed log n.
    """
    each = log_density(z[:, None], mean[None], log_variance[None])  # row i: log q(zᵢ|xⱼ)
    return (each.diagonal() - (each.logsumexp(1) - math.log(len(z)))).mean()
