"""What a text VAE can do with its latent space: write from the prior, say a text again, go from one text to another.

A text here is one piece, as the model learned them: a sentence or a line, or what is said before the end of a document.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import TextError
from inkstone.inference.sampling import draw
from inkstone.layers.gaussian import standard_normal
from inkstone.models.text_vae import TextVAE


@torch.inference_mode()
def write(
    model: TextVAE, latent: Float[Tensor, "n z"], *, temperature: float = 0.0, generator: torch.Generator | None = None
) -> list[str]:
    """One piece of text for each latent vector: up to the end of the document, the end of a sentence or line, or the model's
    context, whichever comes first.

    At temperature 0 the likeliest token is taken each time; otherwise drawn, which needs a generator.
    """
    if temperature < 0 or (temperature > 0 and generator is None):
        raise TextError(f"temperature = {temperature}, but must be 0, or above 0 with a generator to draw by")
    tokenizer, count = model.tokenizer, len(latent)
    device = model.embedding.weight.device
    state = model.start(count, latent)
    ids = torch.full((count, 1), tokenizer.end, device=device)
    written: list[list[int]] = [[] for _ in range(count)]
    going = [True] * count
    for _ in range(model.settings.context):
        scores, state = model.step(ids, state, last=True)
        if temperature:
            chosen = draw(scores[:, -1] / temperature, torch.rand(count, generator=generator).to(device))
        else:
            chosen = scores[:, -1].argmax(-1)
        ends = model.ends_piece(chosen, state).tolist()
        for row, token in enumerate(chosen.tolist()):
            if going[row] and token != tokenizer.end:
                written[row].append(token)
            going[row] = going[row] and not ends[row]
        if not any(going):
            break
        ids = chosen[:, None]
    return [tokenizer.decode(row) for row in written]


def sample(model: TextVAE, count: int, seed: int = 0, *, temperature: float = 1.0) -> list[str]:
    """New texts: a latent vector each from N(0, I), then tokens given it. At temperature 0 only the vectors are drawn."""
    generator = torch.Generator().manual_seed(seed)
    z = standard_normal((count, model.settings.latent), generator, model.embedding.weight)
    return write(model, z, temperature=temperature, generator=generator)


@torch.inference_mode()
def posterior_means(model: TextVAE, texts: Sequence[str]) -> Float[Tensor, "n z"]:
    """Where the encoder places each text.

    Raises TextError for one that is empty, longer than a piece of the model, or more than one of its pieces.
    """
    documents = model.tokenizer.encode_batch(list(texts))
    longest = model.settings.context - 1
    for text, ids in zip(texts, documents, strict=True):
        if not 1 <= len(ids) <= longest:
            raise TextError(f"{text[:40]!r} has {len(ids)} tokens; this model places texts of 1 to {longest}")
    training = model.training
    pieces, owner = model.eval().pieces_of(documents)
    firsts = torch.searchsorted(owner, torch.arange(len(texts), device=owner.device))
    for text, ids, first in zip(texts, documents, firsts.tolist(), strict=True):
        read = int(pieces.valid[first].sum())
        if read < len(ids):
            said = model.tokenizer.decode(ids[:read])
            raise TextError(
                f"{text[:40]!r} is more than one {model.settings.piece}; give it in parts, of which the first is {said!r}"
            )
    mean, _ = model.encode(pieces.rows(firsts))
    model.train(training)
    return mean


def reconstruct(model: TextVAE, texts: Sequence[str]) -> list[str]:
    """Each text, read to its latent mean and written again from that alone, the likeliest token each time."""
    return write(model, posterior_means(model, texts))


def interpolate(
    model: TextVAE, first: str, last: str, steps: int = 7, *, way: Literal["spherical", "linear"] = "spherical"
) -> list[str]:
    """Texts on the way from one text to another, both included (Bowman et al. 2016, section 5.3)."""
    ends = posterior_means(model, [first, last])
    return write(model, path(ends[0], ends[1], steps, way))


def path(
    a: Float[Tensor, " z"], b: Float[Tensor, " z"], steps: int, way: Literal["spherical", "linear"] = "spherical"
) -> Float[Tensor, "steps z"]:
    """Points from a to b: on the straight line, or on the arc between their directions with lengths that change evenly.

    A line between two draws from N(0, I) passes nearer to the origin than draws do; the arc does not (White 2016).

    >>> [round(float(point.norm()), 4) for point in path(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 3)]
    [1.0, 1.0, 1.0]
    """
    share = torch.linspace(0, 1, steps, device=a.device)[:, None]
    line = a + share * (b - a)
    lengths = a.norm(), b.norm()
    if way == "linear" or not min(lengths):
        return line
    cosine = (a @ b / (lengths[0] * lengths[1])).clamp(-1, 1)
    angle = cosine.arccos()
    if angle < 1e-4 or angle > torch.pi - 1e-4:  # nearly one direction, or opposite ones, which have no one arc
        return line
    direction = ((1 - share) * angle).sin() * a / lengths[0] + (share * angle).sin() * b / lengths[1]
    return direction / angle.sin() * (lengths[0] + share * (lengths[1] - lengths[0]))
