"""Excerpts: which stretch of a text says best what is to be said of it, learned from texts and what was said of them.

    p(i … j | text) ∝ exp(Σ a[features of unit i, the first] + Σ b[features of unit j, the last] + Σₖ c[features of unit k inside] + d[words])
    loss = Σ KL(q ‖ p) + ‖a, b, c, d‖² / 2C,        q(i … j) ∝ exp(worth(i … j) / τ)

over all stretches of each text (`text/stretches.py`). The worth of a stretch is for the caller to say, such as its ROUGE: what is near the best
counts nearly as much. The loss is convex; L-BFGS goes down from zero and nothing is drawn. With τ → 0 this is the log-linear model of one right
span; the soft targets are those of Norouzi et al. 2016 ("Reward augmented maximum likelihood", equation 5).

A model of thousands of weights that each count one thing needs far fewer examples than a network that learns to write; it can say nothing that
does not stand in the text.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkstone.errors import CheckpointError, RunError, TextError
from inkstone.files import whole_folder, write_json
from inkstone.models.tagger import read_object
from inkstone.text.stretches import SIDES, Stretches

MODEL_TYPE = "inkstone-excerpts"
FEWEST = 3  # times that a feature must be found
C = 1.0
TAU = 0.05  # of worths from 0 to 1
EVALUATIONS = 100  # of the loss and its gradient, at most
MEMORY = 10  # steps that L-BFGS remembers


@dataclass(frozen=True)
class Excerpts:
    """A learned model: the numbers of the features of each side, 0 for those that are unknown, and their weights."""

    longest: int  # words of a stretch
    names: dict[str, dict[str, int]]
    weights: dict[str, Float[Tensor, " _"]]
    lengths: Float[Tensor, " words"]

    def log_chances(self, text: Stretches) -> Float[np.ndarray, " s"]:
        """Of each stretch."""
        table = _Table.of([text], self.names)
        return table.log_chances(self.weights, self.lengths).numpy()

    def best(self, text: str, most: int = 1) -> list[tuple[str, float]]:
        """The likeliest stretches and the logarithms of their chances; none of a text without words."""
        found = Stretches.of(text, self.longest)
        if not len(found):
            return []
        chances = self.log_chances(found)
        order = np.argsort(-chances, kind="stable")[:most].tolist()
        return [(found.words(number), float(chances[number])) for number in order]

    def save(self, folder: Path | str) -> None:
        """Write config.json, features.json and model.safetensors into a folder, whole or not at all."""
        with whole_folder(Path(folder)) as part:
            save_file({**self.weights, "lengths": self.lengths}, part / "model.safetensors")
            write_json(part / "features.json", {side: list(names) for side, names in self.names.items()})
            write_json(part / "config.json", {"model_type": MODEL_TYPE, "longest": self.longest})

    @classmethod
    def load(cls, folder: Path | str) -> "Excerpts":
        """The model in a folder that `save` wrote.

        Raises RunError for a folder that holds no such model, CheckpointError for one whose files do not fit together.
        """
        folder = Path(folder)
        config, features = (read_object(folder / name) for name in ("config.json", "features.json"))
        if config.get("model_type") != MODEL_TYPE:
            raise RunError(
                f"{folder / 'config.json'}: no model of excerpts ({MODEL_TYPE}); name a folder that one was saved to"
            )
        try:
            longest = int(config["longest"])
            names = {side: {name: at for at, name in enumerate(features[side], 1)} for side in SIDES}
            tensors = load_file(folder / "model.safetensors")
            lengths = tensors.pop("lengths")
            fits = all(len(tensors[side]) == len(names[side]) + 1 for side in SIDES) and len(lengths) == longest + 1
        except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: damaged ({type(error).__name__}: {error})") from None
        if not fits:
            raise CheckpointError(
                f"{folder}: weights and features are not equally many; take the whole folder from one place"
            )
        return cls(longest, names, {side: tensors[side] for side in SIDES}, lengths)


def fit(
    texts: Sequence[Stretches],
    worths: Sequence[Float[np.ndarray, " _"]],
    longest: int,
    c: float = C,
    evaluations: int = EVALUATIONS,
) -> Excerpts:
    """Learn from texts that have stretches of at most `longest` words, and the worth of each of these.

    Raises TextError where there is no stretch to learn from.
    """
    known = [(text, worth) for text, worth in zip(texts, worths, strict=True) if len(text)]
    if not known:
        raise TextError("no text has a word that could be taken from it; there is nothing to learn")
    texts, worths = zip(*known, strict=True)
    names = {side: _names([text.features[side] for text in texts]) for side in SIDES}
    table = _Table.of(texts, names)
    wanted = table.normalised(torch.from_numpy(np.concatenate(worths)).float() / TAU).exp()
    weights = {side: torch.zeros(len(names[side]) + 1, requires_grad=True) for side in SIDES}
    lengths = torch.zeros(longest + 1, requires_grad=True)
    learned = [*weights.values(), lengths]
    descent = torch.optim.LBFGS(
        learned, max_iter=evaluations, max_eval=evaluations, history_size=MEMORY, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        descent.zero_grad()
        nats = -(wanted * table.log_chances(weights, lengths)).sum()
        value = (nats + sum((own**2).sum() for own in learned) / (2 * c)) / len(texts)
        value.backward()
        for side in SIDES:
            weights[side].grad[0] = 0  # pyright: ignore[reportOptionalSubscript]  unknown features weigh nothing
        return float(value.detach())

    descent.step(loss)
    return Excerpts(longest, names, {side: own.detach() for side, own in weights.items()}, lengths.detach())


def _names(of_texts: Sequence[Sequence[Sequence[str]]]) -> dict[str, int]:
    counts = Counter(name for units in of_texts for own in units for name in own)
    return {name: at for at, name in enumerate((name for name, n in counts.items() if n >= FEWEST), 1)}


@dataclass(frozen=True)
class _Table:
    """The stretches of many texts one after the other, and the numbers of the features of their units."""

    features: dict[str, Int[Tensor, "units _"]]
    first: Int[Tensor, " s"]
    last: Int[Tensor, " s"]
    words: Int[Tensor, " s"]
    row: Int[Tensor, " s"]  # the text
    rows: int

    @classmethod
    def of(cls, texts: Sequence[Stretches], names: dict[str, dict[str, int]]) -> "_Table":
        before = np.cumsum([0, *(len(text.places) for text in texts)])[:-1]
        numbers = {
            side: torch.tensor(
                [[names[side].get(name, 0) for name in unit] for text in texts for unit in text.features[side]]
            )
            for side in SIDES
        }
        first, last = (
            torch.from_numpy(np.concatenate([getattr(text, end) + at for text, at in zip(texts, before, strict=True)]))
            for end in ("first", "last")
        )
        words = torch.from_numpy(np.concatenate([text.lengths for text in texts]))
        row = torch.repeat_interleave(torch.arange(len(texts)), torch.tensor([len(text) for text in texts]))
        return cls(numbers, first, last, words, row, len(texts))

    def log_chances(self, weights: dict[str, Tensor], lengths: Tensor) -> Float[Tensor, " s"]:
        """Of each stretch among those of its text."""
        first, last, inside = (weights[side][self.features[side]].sum(1) for side in SIDES)
        up_to = torch.nn.functional.pad(inside.double().cumsum(0), (1, 0))
        scores = first[self.first] + last[self.last] + (up_to[self.last + 1] - up_to[self.first]).float()
        return self.normalised(scores + lengths[self.words])

    def normalised(self, scores: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
        """Minus the logarithm of the sum of the exponentials in each text."""
        top = torch.full((self.rows,), -torch.inf).scatter_reduce(0, self.row, scores.detach(), "amax")
        total = torch.zeros(self.rows).index_add(0, self.row, (scores - top[self.row]).exp())
        return scores - (total.log() + top)[self.row]
