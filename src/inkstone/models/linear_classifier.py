"""A classifier of texts by words alone: TF–IDF rows and logistic regression. It takes seconds, and is the yardstick of all others.

    one label         p(label | text) = softmax(W x + b)         two labels: σ(w · x + b)
    several labels    p(label | text) = σ(w_label · x + b_label)

x the row of `text/ngram_rows.py`: n-grams of words, and of characters of scripts without blanks; of a pair of texts those of
each side, of both, and the shares of words in common. Fitted by `models/logistic_regression.py`; nothing is drawn at random.
With `ratios` a weight may go the further, the more often its n-gram stands under one label than under the others
(`log_count_ratios`). What it cannot do: see the order of words further apart than two, or know that two words mean the same.

Sources: Joachims 1998 and Wang and Manning 2012 for how strong it is.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from inkstone.errors import CheckpointError, RecipeError, RunError, TextError
from inkstone.files import whole_folder, write_json
from inkstone.models.log_count_ratios import spread_of
from inkstone.models.logistic_regression import CLOSE, LogisticRegression, loss_and_slope, matrix
from inkstone.models.tagger import read_object
from inkstone.text.folds import grouped_split
from inkstone.text.ngram_rows import NgramRows, Text
from inkstone.text.ngrams import NgramIndex, NgramSettings
from inkstone.text.sparse_rows import SparseRows

MODEL_TYPE = "inkstone-linear-classifier"
CANDIDATES = (0.3, 1.0, 3.0, 10.0, 30.0)
INNER_SHARE = 0.2  # of the examples, to choose C by
CLOSE_ENOUGH = 0.1  # to the best logits, to choose C by; on real texts they are some ten times nearer than that

Labels = Sequence[str] | Sequence[Collection[str]]  # one label of each text, or any number of them


@dataclass(frozen=True)
class LinearSettings(NgramSettings):
    """Which n-grams are counted, and how much the weights may grow."""

    c: float = 1.0  # C: the larger, the closer to the examples
    ratios: float = 0.0  # power of the log-count ratios by which the weights spread; 0: all weights alike

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.ratios <= 2:
            raise RecipeError(f"ratios = {self.ratios}, but must be from 0 (all weights alike) to 2")
        if not 0 < self.c < float("inf"):
            raise RecipeError(f"c = {self.c}, but it must be above 0 and finite")


@dataclass(frozen=True)
class LinearClassifier:
    """A learned classifier: its labels, its columns, and their weights."""

    settings: LinearSettings
    labels: list[str]  # sorted
    several: bool  # whether a text may have any number of labels
    rows: NgramRows
    weights: Float[np.ndarray, "columns outputs"]  # of two labels, of which a text has one, only those of the second
    bias: Float[np.ndarray, " outputs"]

    def predict_proba(self, texts: Sequence[Text]) -> Float[np.ndarray, "n labels"]:
        """The probability of each label; where a text has one label they sum to one."""
        rows = self.rows(texts)
        logits = _product(rows, self.weights) + self.bias
        if self.several or logits.shape[1] == 1:
            chance = torch.from_numpy(logits).sigmoid().numpy()
            return chance if self.several else np.concatenate([1 - chance, chance], axis=1)
        return torch.from_numpy(logits).softmax(dim=1).numpy()

    def predict(self, texts: Sequence[Text]) -> list[str] | list[list[str]]:
        """The likeliest label of each text; where there may be several, those that are likelier than not."""
        chances = self.predict_proba(texts)
        if self.several:
            return [[label for label, p in zip(self.labels, row, strict=True) if p >= 0.5] for row in chances]
        return [self.labels[best] for best in chances.argmax(axis=1)]

    def top_features(self, label: str, number: int = 10) -> list[tuple[str, float]]:
        """The n-grams that speak most for a label, with their weights, heaviest first. Raises TextError for an unknown label."""
        if label not in self.labels:
            raise TextError(f"there is no label {label!r}; the labels are {', '.join(self.labels[:20])}")
        at = self.labels.index(label)
        weights = (
            self.weights[:, at] if self.weights.shape[1] == len(self.labels) else self.weights[:, 0] * (2 * at - 1)
        )
        names = self.rows.names()
        best = np.argsort(-weights, kind="stable")[:number]
        return [(names[column], float(weights[column])) for column in best if weights[column] > 0]

    def save(self, folder: Path | str) -> None:
        """Write config.json, words.json and model.safetensors into a folder, whole or not at all."""
        tensors = {"weights": self.weights, "bias": self.bias}
        tensors |= {f"idf.{block}": idf for block, idf in enumerate(self.rows.idf)}
        tensors |= {f"{kind}.{n}": codes for (kind, n), codes in self.rows.index.codes.items()}
        facts = {"labels": self.labels, "several": self.several, "pairs": self.rows.pairs}
        with whole_folder(Path(folder)) as part:
            save_file(
                {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, part / "model.safetensors"
            )
            write_json(part / "words.json", {"words": list(self.rows.index.words)})
            write_json(part / "config.json", {"model_type": MODEL_TYPE, **facts, **asdict(self.settings)})

    @classmethod
    def load(cls, folder: Path | str) -> "LinearClassifier":
        """The classifier in a folder that `save` wrote.

        Raises RunError for a folder that holds no such classifier, CheckpointError for one whose files do not fit together.
        """
        folder = Path(folder)
        config, listed = (read_object(folder / name) for name in ("config.json", "words.json"))
        if config.pop("model_type", None) != MODEL_TYPE:
            raise RunError(
                f"{folder / 'config.json'}: not a linear classifier ({MODEL_TYPE}); name a folder that one was saved to"
            )
        try:
            labels, several, pairs = (config.pop(name) for name in ("labels", "several", "pairs"))
            settings = LinearSettings(**config)
            tensors = load_file(folder / "model.safetensors")
            index = NgramIndex({word: number for number, word in enumerate(listed["words"])})
            for kind, lengths in settings.lengths.items():
                index.codes |= {(kind, n): tensors[f"{kind}.{n}"] for n in lengths}
            rows = NgramRows(index, pairs, [tensors[f"idf.{block}"] for block in range(3 if pairs else 1)])
            weights, bias = tensors["weights"], tensors["bias"]
        except (KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: not a whole linear classifier ({error}); save it again") from None
        shape = (rows.width, len(labels) if several or len(labels) > 2 else 1)
        if weights.shape != shape or bias.shape != shape[1:] or any(len(idf) != index.width for idf in rows.idf):
            raise CheckpointError(
                f"{folder}: weights of shape {weights.shape} where words and labels make {shape}; "
                "the files are not of one classifier"
            )
        return cls(settings, labels, several, rows, weights, bias)


def fit(
    texts: Sequence[Text],
    labels: Labels,
    settings: LinearSettings | None = None,
    *,
    close: float = CLOSE,
    report: Callable[[str], None] = lambda line: None,
) -> LinearClassifier:
    """A classifier learned from texts, or pairs of texts, and the label of each, or a collection of labels of each.

    `close` is how near the best the logits must be known to be (`LogisticRegression.fit`); they are nearer than that.
    Raises TextError where there is nothing to tell apart, or not as many labels as texts.
    """
    settings = settings or LinearSettings()
    names, several, targets = label_targets(texts, labels)
    rows, x = NgramRows.learn(texts, settings)
    report(f"{len(texts):,} texts, {x.width:,} columns, {len(names)} labels")
    regression = LogisticRegression(x, targets, _outputs(targets, names), spread_of(x, targets, settings.ratios))
    weights, bias = regression.fit(settings.c, close, report)
    return LinearClassifier(settings, names, several, rows, weights.astype(np.float32), bias.astype(np.float32))


def choose_c(
    texts: Sequence[Text],
    labels: Labels,
    settings: LinearSettings | None = None,
    *,
    candidates: Sequence[float] = CANDIDATES,
    groups: Sequence[object] | None = None,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> float:
    """The C of `candidates` under which a fifth of the examples, kept aside, is likeliest; learned on the other four.

    The examples kept aside have the labels in the same shares, and those of a group (`text/folds.py`) stay together.
    By the likelihood, not the accuracy: it is less noisy where examples are few.
    """
    settings = settings or LinearSettings()
    if not candidates:
        raise RecipeError("there is no candidate for C; give some, such as 1 and 10")
    names, _, targets = label_targets(texts, labels)
    parts = grouped_split(labels, {"inner": 1 - INNER_SHARE, "aside": INNER_SHARE}, groups=groups, seed=seed)
    inner: list[Text] = [texts[int(row)] for row in parts["inner"]]
    kept: list[Text] = [texts[int(row)] for row in parts["aside"]]
    rows, x = NgramRows.learn(inner, settings)
    aside = rows(kept)
    nats = {}
    learned = targets[parts["inner"]]
    regression = LogisticRegression(x, learned, _outputs(targets, names), spread_of(x, learned, settings.ratios))
    for c in sorted(candidates):
        weights, bias = regression.fit(c, close=CLOSE_ENOUGH)
        logits = torch.from_numpy(_product(aside, weights.astype(np.float32)) + bias)
        nats[c] = float(loss_and_slope(logits, torch.from_numpy(targets[parts["aside"]]))[0]) / len(aside)
        report(f"C = {c:g}: {nats[c]:.4f} nats per text")
    return min(nats, key=lambda c: nats[c])


def label_targets(
    texts: Sequence[Text], labels: Labels
) -> tuple[list[str], bool, Int[np.ndarray, " n"] | Float[np.ndarray, "n outputs"]]:
    """The labels that there are, whether a text may have several, and what the regression is to find."""
    if len(texts) != len(labels):
        raise TextError(
            f"{len(texts):,} texts but {len(labels):,} labels; give one label, or one collection, to each text"
        )
    several = any(not isinstance(label, str) for label in labels)
    for number, label in enumerate(labels, 1):
        if several == isinstance(label, str):
            raise TextError(f"text {number} has the label {label!r}, but others have several; give each a collection")
    counts = Counter(name for label in labels for name in ([label] if isinstance(label, str) else label))
    names = sorted(counts)
    if len(names) < (1 if several else 2):
        seen = f"all {len(texts):,} texts have the label {names[0]!r}" if names else "no text has a label"
        raise TextError(f"{seen}; there must be something to tell apart")
    place = {name: at for at, name in enumerate(names)}
    if several:
        table = np.zeros((len(texts), len(names)))
        for row, label in enumerate(labels):
            table[row, [place[name] for name in label]] = 1
        return names, True, table
    numbers = np.array([place[str(label)] for label in labels])
    return names, False, numbers if len(names) > 2 else numbers[:, None].astype(np.float64)


def _outputs(targets: Int[np.ndarray, " n"] | Float[np.ndarray, "n outputs"], names: list[str]) -> int:
    return len(names) if targets.ndim == 1 else targets.shape[1]


def _product(rows: SparseRows, weights: Float[np.ndarray, "columns outputs"]) -> Float[np.ndarray, "n outputs"]:
    return (matrix(rows, torch.float32) @ torch.from_numpy(weights)).double().numpy()
