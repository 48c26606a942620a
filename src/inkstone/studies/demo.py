"""Demonstrations that need no text: the autoencoders on written digits.

    inkstone demo digits --minutes 1

Half of the time trains a variational autoencoder, half a plain one of the same size. What comes out is the likelihood of
pictures that neither has seen, and pictures that nobody wrote.
"""

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inkstone.errors import InkstoneError, nearest
from inkstone.evaluation.latent_map import write_latent_map
from inkstone.evaluation.picture_grid import picture_grid, write_png
from inkstone.files import write_json
from inkstone.layers.gaussian import active_units
from inkstone.models.autoencoder import Autoencoder, AutoencoderSettings
from inkstone.progress import LiveLine, human_time
from inkstone.tasks.digit_pictures import DigitPictures, built_in_digits, mnist as read_mnist

BATCH = 100
RATE = 2e-3  # of Adam, falling to zero over the second half
DRAWS = 100  # for each test picture
MOST_MAPPED = 2000  # points on the map
DEMOS = ("digits",)


def demo(
    what: str = "digits",
    *,
    minutes: float = 0.5,
    seed: int = 0,
    out: Path | str = "runs/digits",
    latent: int = 8,
    mnist: Path | str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train a plain and a variational autoencoder on pictures of digits; the figures, and where the pictures are.

    what: "digits", the only demonstration there is; minutes: of training; latent: numbers that a picture becomes;
    mnist: a folder with the files of MNIST, instead of the digits that come with scikit-learn.

    Raises InkstoneError for a demonstration or setting that cannot be, MissingExtraError without scikit-learn, TextError for
    files that are not MNIST's.
    """
    if what not in DEMOS:
        raise InkstoneError(f"there is no demonstration {what!r}; {nearest(what, DEMOS)}")
    if not 0 < minutes < float("inf"):
        raise InkstoneError(f"minutes = {minutes}, but must be more than 0")
    pictures = built_in_digits() if mnist is None else read_mnist(mnist)
    test = _binary(torch.from_numpy(pictures.test.reshape(len(pictures.test), -1)), _generator(0, "test"))
    line, began = LiveLine(quiet=quiet), time.monotonic()
    models, epochs = {}, {}
    for name in ("variational", "plain"):
        settings = AutoencoderSettings(test.shape[1], latent, variational=name == "variational")
        model = Autoencoder(settings).initialise(_generator(seed, "weights"))
        models[name], epochs[name] = _train(model, pictures, minutes * 30, _generator(seed, name), line)
    line.clear()
    variational, plain = models["variational"], models["plain"]
    found = variational.bounds(test, DRAWS, _generator(seed, "bounds"))
    facts = {
        "data": pictures.name,
        "train_pictures": len(pictures.train),
        "test_pictures": len(test),
        "pixels": test.shape[1],
        "latent": latent,
        "elbo": found.elbo.mean().item(),
        "reconstruction": found.reconstruction.mean().item(),
        "kl": found.kl.mean().item(),
        "importance_bound": found.importance.mean().item(),
        "draws": DRAWS,
        "active_units": active_units(found.mean),
        "plain_reconstruction": -plain.told(test, plain.encode(test)[0]).mean().item(),
        "pixels_alone": _pixels_alone(pictures, test),
        "epochs": epochs,
        "seconds": time.monotonic() - began,
        "out": str(out),
    }
    facts["pictures"] = _draw_pictures(Path(out), pictures, models, test, seed)
    write_json(Path(out) / "demo.json", facts)
    return facts


def _train(
    model: Autoencoder, pictures: DigitPictures, seconds: float, generator: torch.Generator, line: LiveLine
) -> tuple[Autoencoder, int]:
    """Adam until the time is up, one epoch at least; the weights that told a tenth kept aside best, and the epochs."""
    grey = torch.from_numpy(pictures.train.reshape(len(pictures.train), -1))
    kept = max(1, len(grey) // 10)
    grey, aside = grey[:-kept], _binary(grey[-kept:], generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    name = "variational autoencoder" if model.settings.variational else "plain autoencoder"
    best, best_loss, epoch, began = copy.deepcopy(model), float("inf"), 0, time.monotonic()
    while epoch == 0 or time.monotonic() - began < seconds:
        factor = min(1.0, max(0.0, 2 * (1 - (time.monotonic() - began) / seconds)))
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor if epoch else RATE
        for rows in torch.randperm(len(grey), generator=generator).split(BATCH):
            optimizer.zero_grad()
            model.loss(_binary(grey[rows], generator), generator).backward()
            optimizer.step()
        epoch += 1
        with torch.no_grad():
            loss = model.loss(aside, generator).item()
        if loss < best_loss:
            best, best_loss = copy.deepcopy(model), loss
        left = max(0.0, seconds - (time.monotonic() - began))
        line.show(f"{name}  epoch {epoch}  {loss:.2f} nats a picture kept aside  {human_time(left)} left")
    return best.eval(), epoch


@torch.no_grad()
def _draw_pictures(
    out: Path, pictures: DigitPictures, models: dict[str, Autoencoder], test: Tensor, seed: int
) -> dict[str, str]:
    """The grids as PNG, and the map of the test part as SVG; what each shows is said in `docs/commands.md`."""
    h, w = pictures.train.shape[1:]
    scale = max(1, 48 // h)
    variational = models["variational"]
    mean, log_variance = variational.encode(test)
    telling = (mean.square() + log_variance.exp() - 1 - log_variance).mean(0).argsort(descending=True).tolist()
    units = (telling[0], telling[1] if len(telling) > 1 else telling[0])
    shown = test[:20]
    rows = [shown] + [model.decode(model.encode(shown)[0]) for model in models.values()]
    grids = {
        "generated.png": (variational.sample(100, _generator(seed, "sample")), 10),
        "generated-plain.png": (models["plain"].sample(100, _generator(seed, "sample")), 10),
        "reconstructed.png": (torch.cat(rows), len(shown)),
        "plane.png": (variational.plane(15, units), 15),
    }
    for name, (flat, columns) in grids.items():
        write_png(out / name, picture_grid(flat.numpy().reshape(-1, h, w), columns, scale))
    digits = [str(digit) for digit in pictures.test_digits[:MOST_MAPPED]]
    write_latent_map(out / "map.svg", mean[:MOST_MAPPED].numpy(), groups=digits, title=f"{pictures.name}: latent space")
    return {name.partition(".")[0]: str(out / name) for name in [*grids, "map.svg"]}


def _pixels_alone(pictures: DigitPictures, test: Tensor) -> float:
    """Nats of a test picture where each pixel is drawn by itself, black as often as in training: what there is to beat."""
    often = torch.from_numpy(pictures.train.reshape(len(pictures.train), -1)).double().mean(0)
    often = (often * len(pictures.train) + 0.5) / (len(pictures.train) + 1)  # a pixel never black may yet be
    x = test.double()
    return -(x * often.log() + (1 - x) * (1 - often).log()).sum(1).mean().item()


def _binary(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros and ones, one with the probability that the grey value is."""
    return (torch.rand(grey.shape, generator=generator) < grey).float()


def _generator(seed: int, purpose: str) -> torch.Generator:
    """A stream of random numbers for each purpose, so that one that draws more does not shift another."""
    mixed = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed) % 2**63)
