"""How much a text VAE says through its latent vector: bounds, KL, active units, mutual information, and a map."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inkstone.errors import TextError
from inkstone.evaluation.latent_map import write_latent_map
from inkstone.inference.latent_text import posterior_means
from inkstone.layers.gaussian import active_units, draw, mutual_information
from inkstone.models.text_vae import TextVAE

PASS = 64  # pieces at once
MOST_POSTERIORS = 2000  # in the mixture of the mutual information, whose work is their square
TITLE = 80  # characters of a text shown on the map


@dataclass(frozen=True)
class LatentFigures:
    """Sums and means over the pieces of the documents; nats."""

    pieces: int
    tokens: int  # predictions, the ends of documents included
    elbo: float  # of all pieces together; −elbo / tokens is nats a token
    importance_bound: float  # likewise, tighter
    draws: int  # of each piece, for both
    kl: float  # mean of a piece
    active_units: int
    units: int
    mutual_information: float  # nats; at most the logarithm of the number of pieces it was taken over

    def facts(self) -> dict[str, Any]:
        """As JSON holds it, with the figures for each token."""
        return {
            **asdict(self),
            "elbo_nats_per_token": -self.elbo / self.tokens,
            "bound_nats_per_token": -self.importance_bound / self.tokens,
        }


def latent_figures(model: TextVAE, documents: Sequence[np.ndarray], *, draws: int = 16, seed: int = 0) -> LatentFigures:
    """The figures of documents, each an array of ids without its end token. Raises TextError where there are none."""
    if not len(documents):
        raise TextError("there is no text to place in the latent space")
    training, generator = model.training, torch.Generator().manual_seed(seed)
    pieces, _ = model.eval().pieces_of(documents)
    order = pieces.valid.sum(1).argsort(descending=True, stable=True)
    parts = [model.bounds(pieces.rows(rows), draws, generator) for rows in order.split(PASS)]
    model.train(training)
    mean = torch.cat([part.mean for part in parts])
    log_variance = torch.cat([part.log_variance for part in parts])
    some = torch.randperm(len(mean), generator=generator)[:MOST_POSTERIORS]
    z = draw(mean[some], log_variance[some], generator)
    return LatentFigures(
        pieces=len(pieces),
        tokens=int(pieces.valid.sum()),
        elbo=sum(part.elbo.double().sum().item() for part in parts),
        importance_bound=sum(part.importance.double().sum().item() for part in parts),
        draws=draws,
        kl=torch.cat([part.kl for part in parts]).mean().item(),
        active_units=active_units(mean),
        units=mean.shape[1],
        mutual_information=mutual_information(z, mean[some], log_variance[some]).item(),
    )


def plot_texts(model: TextVAE, texts: Sequence[str], path: Path, groups: Sequence[str] = ()) -> None:
    """A map of where the texts lie in the latent space, as SVG; each point shows its text under the pointer."""
    means = posterior_means(model, texts).cpu().numpy()
    write_latent_map(path, means, titles=[text[:TITLE] for text in texts], groups=groups, title="latent space")
