"""The autoencoder on pictures, plain and variational (Kingma & Welling 2014).

A picture x of black and white pixels is told by a short vector z, from which the decoder draws it again. Each pixel is black
or white with a probability of its own, so the likelihood is that of Bernoulli draws, whose logarithm is the negative binary
cross-entropy, summed over the pixels:

    log p(x|z) = Σ xᵢ log πᵢ(z) + (1 − xᵢ) log(1 − πᵢ(z)),     π = σ(decoder(z))

The plain autoencoder makes −log p(x|z) small at z = encoder(x), and nothing else; where no picture was placed, its z means
nothing. The variational one makes −ELBO = −E_q log p(x|z) + KL(q(z|x) ‖ N(0, I)) small, which bounds −log p(x) from above:
every z from N(0, I) is a picture. A squared error is another likelihood, of normal noise around π, and no bound for pixels
that are black or white. Grey values are read as probabilities of black and drawn (Salakhutdinov & Murray 2008): the
cross-entropy of a grey value itself would be that of no distribution.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.gaussian import draw, importance_bound, kl_to_standard_normal, log_density, standard_normal


@dataclass(frozen=True)
class AutoencoderSettings:
    """The shape of an autoencoder of pictures."""

    pixels: int
    latent: int = 8  # numbers in z
    hidden: int = 256  # width of the two inner layers on either side
    variational: bool = True

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("pixels", "latent", "hidden"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")


@dataclass(frozen=True)
class PictureBounds:
    """What is known of how likely each picture is, in nats."""

    reconstruction: Float[Tensor, " n"]  # −E_q log p(x|z)
    kl: Float[Tensor, " n"]  # in closed form
    importance: Float[Tensor, " n"]  # importance-weighted lower bound of log p(x)
    mean: Float[Tensor, "n z"]

    @property
    def elbo(self) -> Float[Tensor, " n"]:
        """The evidence lower bound of log p(x)."""
        return -self.reconstruction - self.kl


class Autoencoder(nn.Module):
    """Pictures as vectors, and vectors as pictures."""

    def __init__(self, settings: AutoencoderSettings):
        super().__init__()
        s = self.settings = settings
        self.encoder = nn.Sequential(
            nn.Linear(s.pixels, s.hidden), nn.ReLU(), nn.Linear(s.hidden, s.hidden), nn.ReLU(),
            nn.Linear(s.hidden, 2 * s.latent if s.variational else s.latent),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(s.latent, s.hidden), nn.ReLU(), nn.Linear(s.hidden, s.hidden), nn.ReLU(),
            nn.Linear(s.hidden, s.pixels),
        )  # fmt: skip

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "Autoencoder":
        """Draw fresh weights: standard deviation √(2 / fan-in) (He et al. 2015), the last of each side 1/√fan-in; a tenth of
        it in the encoder, so that the posterior begins near the prior.
        """
        for side, last in ((self.encoder, 0.1), (self.decoder, 1.0)):
            for at, layer in enumerate(side):
                if isinstance(layer, nn.Linear):
                    gain = last if at == len(side) - 1 else math.sqrt(2)
                    layer.weight.normal_(0, gain / math.sqrt(layer.in_features), generator=generator)
                    layer.bias.zero_()
        return self

    def encode(self, x: Float[Tensor, "n pixels"]) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Mean and logarithm of the variance of q(z|x); a plain autoencoder has no variance, and the logarithm is −∞."""
        code = self.encoder(x)
        if not self.settings.variational:
            return code, torch.full_like(code, -math.inf)
        mean, log_variance = code.chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, z: Float[Tensor, "n z"]) -> Float[Tensor, "n pixels"]:
        """The probability of black of each pixel."""
        return self.decoder(z).sigmoid()

    def told(self, x: Float[Tensor, "n pixels"], z: Float[Tensor, "n z"]) -> Float[Tensor, " n"]:
        """log p(x|z) of each picture in nats, from the logits: a probability rounded to 0 or 1 would have no logarithm."""
        return -F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(-1)

    def loss(self, x: Float[Tensor, "n pixels"], generator: torch.Generator | None) -> Float[Tensor, ""]:
        """Nats for each picture of zeros and ones: −ELBO, or the reconstruction alone."""
        mean, log_variance = self.encode(x)
        if not self.settings.variational:
            return -self.told(x, mean).mean()
        kl = kl_to_standard_normal(mean, log_variance).sum(-1)
        return (kl - self.told(x, draw(mean, log_variance, generator))).mean()

    @torch.no_grad()
    def bounds(self, x: Float[Tensor, "n pixels"], draws: int, generator: torch.Generator | None) -> PictureBounds:
        """Both bounds of log p(x) of each picture, from so many draws of z. Raises RecipeError for a plain autoencoder."""
        if not self.settings.variational:
            raise RecipeError("a plain autoencoder has no distribution over pictures, hence no bound of a likelihood")
        mean, log_variance = self.encode(x)
        zero = torch.zeros_like(mean)
        told, weights = [], []
        for _ in range(draws):
            z = draw(mean, log_variance, generator)
            told.append(self.told(x, z))
            weights.append(told[-1] + log_density(z, zero, zero) - log_density(z, mean, log_variance))
        kl = kl_to_standard_normal(mean, log_variance).sum(-1)
        return PictureBounds(-torch.stack(told).mean(0), kl, importance_bound(torch.stack(weights)), mean)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None) -> Float[Tensor, "count pixels"]:
        """New pictures, as probabilities of black: z from N(0, I)."""
        z = standard_normal((count, self.settings.latent), generator, self.decoder[0].weight)  # type: ignore[arg-type]
        return self.decode(z)

    @torch.no_grad()
    def plane(self, side: int, units: tuple[int, int]) -> Float[Tensor, "cells pixels"]:
        """side · side pictures along two units of z, row by row, the others zero; steps of equal probability under N(0, 1)."""
        places = torch.special.ndtri((torch.arange(side) + 0.5) / side)
        z = torch.zeros(side, side, self.settings.latent)
        z[:, :, units[1]] += places[:, None]
        z[:, :, units[0]] = places[None, :]
        return self.decode(z.flatten(0, 1))
