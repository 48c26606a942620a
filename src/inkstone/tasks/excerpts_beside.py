"""Excerpts beside the model that writes: what stands in a text already says much of what is to be said of it.

Of a few hundred pairs a network hardly learns to write; which stretch of a text is nearest to its summary can be learned from them
(`models/excerpts.py`). Of the likeliest excerpts that one is taken of which both hold most,

    ln p(excerpt | text) + share · mean of ln p(token | text, tokens before) of its tokens by the network

and it is given instead of what was written where the network is not sure enough of that. Share and bound are chosen on dev.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from inkstone.evaluation.rouge_of_stretches import stretch_scores
from inkstone.models.excerpts import Excerpts, fit
from inkstone.tasks.written import Pair, Said
from inkstone.text.stretches import Stretches

FOLDER = "excerpts"  # of the model, in the run's folder
LONGER = 1.2  # than nearly all summaries of the training part: so many words an excerpt may have
NEARLY_ALL = 0.99
LEAST = 4  # words
MOST_STRETCHES = 5_000_000  # that are learned from, of pairs chosen by chance: two minutes of one core
CANDIDATES = 10  # excerpts of a text that the network looks at
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)  # that are tried
NEVER = 2.0  # a confidence that no text has


@dataclass(frozen=True)
class Excerpt(Said):
    """A stretch of the text, how likely it is among all of them, and what the network holds of it."""

    nats: float = 0.0  # the mean over its tokens; 0 where the network was not asked


@dataclass(frozen=True)
class Shortened(Pair):
    """A long text, read as the summaries of its pieces; excerpts are taken from the whole."""

    whole: str = ""


def second_voice(examples: Sequence[Pair], folder: Path) -> None:
    """Learn from pairs, and keep what was learned in the run's folder; what lies there stays."""
    if not (folder / FOLDER).exists():
        learned(examples).save(folder / FOLDER)


def learned(examples: Sequence[Pair]) -> Excerpts:
    """The model of excerpts of these pairs; a stretch is worth the mean F1 of ROUGE-1, 2 and L."""
    known = [example for example in examples if example.targets]
    lengths = [len(Stretches.of(target, 1)) for target in (example.targets[0] for example in known)]
    longest = max(LEAST, round(LONGER * float(np.quantile(lengths, NEARLY_ALL)))) if lengths else LEAST
    texts: list[Stretches] = []
    worths: list[Float[np.ndarray, " _"]] = []
    number = 0
    for place in np.random.default_rng(0).permutation(len(known)).tolist():
        text = Stretches.of(known[place].source, longest)
        number += len(text)
        if texts and number > MOST_STRETCHES:
            break
        texts.append(text)
        worths.append(stretch_scores(text.units(), text.first, text.last, known[place].targets).mean(1))
    return fit(texts, worths, longest)


def excerpts_of(model: Excerpts, example: Pair) -> list[Excerpt]:
    """The likeliest stretches of its text; none where that has no word."""
    text = example.whole if isinstance(example, Shortened) else example.source
    return [Excerpt(own, chance, 1) for own, chance in model.best(text, CANDIDATES)]


def best_excerpt(found: Sequence[Excerpt], share: float) -> Excerpt:
    """The one of which both hold most."""
    return max(found, key=lambda excerpt: excerpt.log_chance - share * excerpt.nats)


def sure_enough(
    confidences: Sequence[float], written: Float[np.ndarray, " n"], taken: Float[np.ndarray, " n"]
) -> float:
    """From which confidence on what was written is given, so that most is gained; the worths of both are known.

    0 where it always is, `NEVER` where it never is. Of equal gains the one with more excerpts.

    >>> sure_enough([0.2, 0.9, 0.5], np.array([0.1, 0.6, 0.2]), np.array([0.3, 0.4, 0.5]))
    0.9
    """
    order = np.argsort(-np.asarray(confidences), kind="stable")
    falling = np.concatenate(([NEVER], np.asarray(confidences)[order]))
    gains = np.concatenate(([0.0], np.cumsum((written - taken)[order])))
    parted = np.append(falling[1:] < falling[:-1], True)  # a bound cannot part equal confidences
    most = int(np.argmax(np.where(parted, gains, -np.inf)))
    return 0.0 if most and most == len(order) else float(falling[most])
