"""A tagger of words by a linear-chain CRF over feature templates: parts of speech, names, or any tags of one a word.

    p(tags | words) ∝ exp( Σₜ Σ_f weight[f, yₜ] + Σₜ transition[yₜ₋₁, yₜ] ),    f: the features found at word t

The features are those of `models/tag_features.py`: the word, its ends and its shape, its neighbours, pairs of these; for
Chinese its characters too. The weights are learned by `models/crf_fitting.py`, and the tags found by Viterbi.
Sources: Lafferty et al. 2001; features after Ratnaparkhi 1996 and Toutanova et al. 2003.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkstone.errors import CheckpointError, RecipeError, RunError, TextError
from inkstone.files import whole_folder, write_json
from inkstone.layers.crf import Transitions
from inkstone.layers.forward_backward import best_path, pack
from inkstone.models.crf_fitting import Corpus, Summation, atoms, fit
from inkstone.models.tag_features import OFFSETS, PAIRS, Bags, FeatureIndex, places_of
from inkstone.models.tagger import load_tagger, read_object, tag

__all__ = ["CRFTagger", "CRFTaggerSettings", "load_tagger", "tag", "train_tagger"]

MODEL_TYPE = "inkstone-crf-tagger"
AT_ONCE = 2000  # sentences tagged together
MOST_KNOWN = 200_000  # word types whose scores are kept


@dataclass(frozen=True)
class CRFTaggerSettings:
    """How a CRF tagger is learned."""

    fewest: int = 2  # times that a feature must be found
    ridge: float = 1.0  # strength of the penalty on large weights
    evaluations: int = 100  # of the loss and its gradient, at most
    tolerance: float = 1e-3  # ends when ten evaluations bring less than this share of the loss

    def __post_init__(self) -> None:
        if self.fewest < 1 or self.evaluations < 1:
            raise RecipeError(
                f"fewest = {self.fewest} and evaluations = {self.evaluations}, but each must be at least 1"
            )
        if self.ridge < 0 or self.tolerance < 0:
            raise RecipeError(f"ridge = {self.ridge} and tolerance = {self.tolerance}, but each must be at least 0")


class CRFTagger:
    """A learned tagger: its tags, its features, and their weights."""

    def __init__(
        self,
        settings: CRFTaggerSettings,
        tags: list[str],
        index: FeatureIndex,
        weights: Float[Tensor, "features k"],
        transitions: Transitions,
    ):
        self.settings = settings
        self.tags = tags
        self.index = index
        self.weights = weights
        self.transitions = transitions
        self._numbers: dict[str, int] = {}  # word types whose scores are known,
        self._scores = torch.zeros(len(OFFSETS), 0, len(tags))  # at each offset

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The best tags of the words of each sentence."""
        tagged: list[list[str]] = [[] for _ in sentences]
        full = [number for number, sentence in enumerate(sentences) if len(sentence)]
        for at in range(0, len(full), AT_ONCE):
            chosen = full[at : at + AT_ONCE]
            for number, tags in zip(chosen, self._tag([sentences[number] for number in chosen]), strict=True):
                tagged[number] = tags
        return tagged

    def _tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        lengths = [len(sentence) for sentence in sentences]
        packing = pack(lengths)
        emissions = torch.empty(len(packing.place), len(self.tags))
        emissions[packing.place] = self.emissions(sentences)
        t = self.transitions
        best = best_path(t.start, t.move, emissions, t.end, packing)[packing.place].tolist()
        words = iter([self.tags[tag] for tag in best])
        return [[next(words) for _ in range(length)] for length in lengths]

    def emissions(self, sentences: Sequence[Sequence[str]]) -> Float[Tensor, "n k"]:
        """The score of every tag for every word, in reading order, before the transitions."""
        places = places_of(sentences)
        numbers = self._known(places.types)
        pairs = torch.cat([self.weights[len(self.index.names) :], torch.zeros(1, len(self.tags))])
        scores = self._scores
        known = scores.shape[1]
        rows = atoms(places, self.index)
        rows[:, : len(OFFSETS)] = (numbers[places.at] + np.arange(len(OFFSETS))[:, None] * known).T
        rows[:, len(OFFSETS) :] += len(OFFSETS) * (known - len(places.types))
        table = torch.cat([scores.flatten(0, 1), pairs])
        return Summation(Bags(rows.ravel(), np.arange(len(rows)) * rows.shape[1]))(table)

    def _known(self, types: list[str]) -> np.ndarray:
        """The numbers of word types in the table of scores, where those that are new are put in."""
        if len(self._numbers) > MOST_KNOWN:
            self._numbers, self._scores = {}, self._scores[:, :0]
        new = [word for word in types if word not in self._numbers]
        if new:
            sums = Summation(Bags.of(self.index.rows_at_offsets(new)))(self.weights[: len(self.index.names)])
            self._scores = torch.cat([self._scores, sums.view(len(OFFSETS), len(new), -1)], dim=1)
            for word in new:
                self._numbers[word] = len(self._numbers)
        return np.array([self._numbers[word] for word in types])

    def save(self, folder: Path | str) -> None:
        """Write config.json, features.json and model.safetensors into a folder, whole or not at all."""
        t = self.transitions
        tensors = {"weights": self.weights, "start": t.start, "move": t.move, "end": t.end}
        tensors |= {f"pairs.{number}": torch.from_numpy(keys) for number, keys in enumerate(self.index.pairs)}
        with whole_folder(Path(folder)) as part:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part / "model.safetensors")
            write_json(part / "features.json", {"names": self.index.names, "parts": self.index.parts})
            write_json(part / "config.json", {"model_type": MODEL_TYPE, "tags": self.tags, **asdict(self.settings)})

    @classmethod
    def load(cls, folder: Path | str) -> "CRFTagger":
        """The tagger in a folder that `save` wrote.

        Raises RunError for a folder that holds no CRF tagger, CheckpointError for one whose files do not fit together.
        """
        folder = Path(folder)
        config, features = (read_object(folder / name) for name in ("config.json", "features.json"))
        if config.pop("model_type", None) != MODEL_TYPE:
            raise RunError(
                f"{folder / 'config.json'}: not a CRF tagger ({MODEL_TYPE}); name a folder that one was saved to"
            )
        try:
            tags = config.pop("tags")
            tensors = load_file(folder / "model.safetensors")
            pairs = [tensors[f"pairs.{number}"].numpy() for number in range(len(PAIRS))]
            index = FeatureIndex(features["names"], features["parts"], pairs)
            transitions = Transitions(tensors["start"], tensors["move"], tensors["end"])
            weights, k = tensors["weights"], len(tags)
            settings = CRFTaggerSettings(**config)
        except (KeyError, TypeError, OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: not a whole tagger ({error}); save it again") from None
        if weights.shape != (index.size, k) or transitions.move.shape != (k, k):
            raise CheckpointError(
                f"{folder}: weights of shape {tuple(weights.shape)} for {index.size} features and {k} tags; "
                "the files are not of one tagger"
            )
        return cls(settings, tags, index, weights, transitions)


def train_tagger(
    sentences: Iterable[tuple[Sequence[str], Sequence[str]]],
    settings: CRFTaggerSettings | None = None,
    *,
    seconds: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> CRFTagger:
    """A CRF tagger learned from sentences, each a pair of words and their tags.

    seconds: the search for better weights ends then, wherever it is; the reading of the features comes before.
    Raises TextError where there are no words, or not as many tags as words.
    """
    settings = settings or CRFTaggerSettings()
    pairs = [(words, tags) for words, tags in sentences if len(words)]
    if not pairs:
        raise TextError("there are no tagged words to learn from")
    for words, tags in pairs:
        if len(words) != len(tags):
            raise TextError(f"{len(words)} words but {len(tags)} tags in the sentence {' '.join(words)[:60]!r}")
    names = sorted({tag for _, tags in pairs for tag in tags})
    number = {tag: at for at, tag in enumerate(names)}
    places = places_of([words for words, _ in pairs])
    index = FeatureIndex.of(places, settings.fewest)
    report(f"{len(places.types):,} word types, {index.size:,} features, {len(names)} tags")
    gold = torch.tensor([number[tag] for _, tags in pairs for tag in tags])
    corpus = Corpus(places, [len(words) for words, _ in pairs], gold, index)
    weights, transitions, _ = fit(
        corpus, len(names), settings.ridge, settings.evaluations, settings.tolerance, seconds, report
    )
    return CRFTagger(settings, names, index, weights, transitions)
