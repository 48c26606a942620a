"""A classifier by counts beside the one that is tuned: the yardstick of all, and, where wanted, a second voice.

What counts of n-grams tell and what a network reads are different things, above all where examples are few: what each gets
wrong is partly not the same. The second voice counts letters inside words as well, and lets its weights
spread by the log-count ratios of the labels, which the yardstick does not.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from inkstone.models.linear_classifier import (
    Labels,
    LinearClassifier,
    LinearSettings,
    choose_c,
    fit,
)
from inkstone.text.ngram_rows import Text

FOLDER = "counts"  # of the second voice, in the run's folder
VOICE = LinearSettings(c=30.0, letters=5, ratios=0.5)  # near the best C of sets from 7,000 to 15,000 texts
CLOSE = 3.0  # to its best logits, which are some hundred times nearer: hardly an answer changes, and of many labels it saves half
LEAST = 1e-9  # probability


def by_words(texts: Sequence[Text], labels: Labels, seed: int) -> LinearClassifier:
    """The yardstick: TF–IDF of words and logistic regression, with the C that does best in an inner split."""
    return fit(texts, labels, LinearSettings(c=choose_c(texts, labels, seed=seed)))


def second_voice(texts: Sequence[Text], labels: Labels, folder: Path) -> LinearClassifier:
    """The one that a run's folder holds, or one that is learned and kept there."""
    kept = folder / FOLDER
    if kept.exists():
        return LinearClassifier.load(kept)
    voice = fit(texts, labels, VOICE, close=CLOSE)
    voice.save(kept)
    return voice


def logits_of(voice: LinearClassifier, texts: Sequence[Text]) -> Float[np.ndarray, "n labels"]:
    """What it says to texts: logarithms of probabilities, of several labels the logit of each."""
    chances = np.clip(voice.predict_proba(texts).astype(np.float64), LEAST, 1 - LEAST)
    return np.log(chances) - np.log1p(-chances) if voice.several else np.log(chances)
