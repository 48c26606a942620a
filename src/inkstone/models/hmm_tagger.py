"""A tagger by a hidden Markov model whose states are the tags, learned by counting.

    p(words, tags) = p(t₁ | start) · Πᵢ p(wᵢ | tᵢ) · Π p(tᵢ | tᵢ₋₁) · p(end | tₙ)

The states were seen in training, so no iteration is needed: relative frequencies are the maximum of the likelihood. What is
rare is smoothed towards what is less particular. For words that chain is

    all words → shape → shape and last letter → … → shape and last five letters → lower case → the word itself
    p(t | h) = (count(h, t) + κ · p(t | h′)) / (count(h) + κ),    h′ the link before h

and p(w | t) ∝ p(t | w) / p(t) by Bayes, the word's own probability being the same for all tags. So a word never seen is judged by
its end and shape, and one seen once mostly so. Ends are counted over rare words only, which new words resemble
(Brants 2000, TnT). The tags come from Viterbi.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkstone.errors import CheckpointError, RecipeError, RunError, TextError
from inkstone.files import whole_folder, write_json
from inkstone.layers.forward_backward import best_path, pack
from inkstone.models.tag_features import shape_of
from inkstone.models.tagger import read_object

MODEL_TYPE = "inkstone-hmm-tagger"
LONGEST_END = 5


@dataclass(frozen=True)
class HMMTaggerSettings:
    """How much each count is smoothed."""

    word_prior: float = 0.5  # κ of the words
    end_prior: float = 2.0  # κ of shapes and ends
    move_prior: float = 5.0  # κ of the moves, towards the frequency of tags
    rare: int = 10  # words found at most so often are those whose ends are counted

    def __post_init__(self) -> None:
        if min(self.word_prior, self.end_prior, self.move_prior) <= 0 or self.rare < 1:
            raise RecipeError(f"{self}: each prior must be above 0 and rare at least 1")


class HMMTagger:
    """The counts of a tagged text."""

    def __init__(
        self,
        settings: HMMTaggerSettings,
        tags: list[str],
        links: list[str],
        counts: Float[Tensor, "links k"],
        moves: Float[Tensor, "k+1 k+1"],
    ):
        self.settings = settings
        self.tags = tags
        self.links = links  # what stands in the chains of the words,
        self.counts = counts  # and how often with each tag
        self.moves = moves  # from tag to tag; the last row is from the start, the last column to the end
        self._rows = {link: row for row, link in enumerate(links)}
        frequency = moves[:, :-1].sum(0)
        self.frequency = frequency / frequency.sum()  # (k,)
        self._known: dict[str, np.ndarray] = {}

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The best tags of the words of each sentence."""
        lengths = [len(sentence) for sentence in sentences]
        if not any(lengths):
            return [[] for _ in sentences]
        packing = pack([length for length in lengths if length])
        numbers: dict[str, int] = {}
        types = torch.tensor([numbers.setdefault(word, len(numbers)) for words in sentences for word in words])
        emissions = torch.empty(len(types), len(self.tags))
        emissions[packing.place] = self.emissions(list(numbers))[types]
        start, move, end = self.log_moves()
        best = best_path(start, move, emissions, end, packing)[packing.place].tolist()
        words = iter([self.tags[tag] for tag in best])
        return [[next(words) for _ in range(length)] for length in lengths]

    def log_moves(self) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k"], Float[Tensor, " k"]]:
        """log p of the first tag, of each tag after each, and of the end after each."""
        leaving = self.moves.sum(1, keepdim=True)
        sentences = self.moves[-1].sum() / self.moves.sum()
        everywhere = torch.cat([self.frequency * (1 - sentences), sentences[None]])
        log = ((self.moves + self.settings.move_prior * everywhere) / (leaving + self.settings.move_prior)).log()
        return log[-1, :-1], log[:-1, :-1], log[:-1, -1]

    def emissions(self, words: Sequence[str]) -> Float[Tensor, "words k"]:
        """log p(t | word) − log p(t): log p(word | t) but for a number that is the same for all tags."""
        if new := [word for word in dict.fromkeys(words) if word not in self._known]:
            self._known.update(zip(new, self._given(new), strict=True))
        given = torch.from_numpy(np.stack([self._known[word] for word in words])).to(self.frequency.dtype)
        return given.log() - self.frequency.log()

    def _given(self, words: Sequence[str]) -> Float[np.ndarray, "words k"]:
        """p(t | word), by the chain from the general to the particular; a step is taken for all words at once."""
        shares = np.tile(self.frequency.numpy().astype(np.float64), (len(words), 1))
        chains = zip_longest(*(chain(word, self.settings) for word in words), fillvalue=("", 1.0))  # "" is no link
        for links in chains:
            rows = np.array([self._rows.get(link, -1) for link, _ in links])
            found = rows >= 0
            prior = np.array([prior for _, prior in links])[found, None]
            counts = self.counts.numpy()[rows[found]]
            shares[found] = (counts + prior * shares[found]) / (counts.sum(1, keepdims=True) + prior)
        return shares

    def save(self, folder: Path | str) -> None:
        """Write config.json, links.json and model.safetensors into a folder, whole or not at all."""
        with whole_folder(Path(folder)) as part:
            save_file({"counts": self.counts, "moves": self.moves}, part / "model.safetensors")
            write_json(part / "links.json", {"links": self.links})
            write_json(part / "config.json", {"model_type": MODEL_TYPE, "tags": self.tags, **asdict(self.settings)})

    @classmethod
    def load(cls, folder: Path | str) -> "HMMTagger":
        """The tagger in a folder that `save` wrote.

        Raises RunError for a folder that holds no HMM tagger, CheckpointError for one whose files do not fit together.
        """
        folder = Path(folder)
        config = read_object(folder / "config.json")
        if config.pop("model_type", None) != MODEL_TYPE:
            raise RunError(f"{folder / 'config.json'}: not an HMM tagger ({MODEL_TYPE})")
        try:
            tags, links = config.pop("tags"), read_object(folder / "links.json")["links"]
            tensors = load_file(folder / "model.safetensors")
            counts, moves, settings = tensors["counts"], tensors["moves"], HMMTaggerSettings(**config)
        except (KeyError, TypeError, OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: not a whole tagger ({error}); save it again") from None
        if counts.shape != (len(links), len(tags)) or moves.shape != (len(tags) + 1, len(tags) + 1):
            raise CheckpointError(
                f"{folder}: counts of shape {tuple(counts.shape)} for {len(links)} links and {len(tags)} tags"
            )
        return cls(settings, tags, links, counts, moves)


def chain(word: str, settings: HMMTaggerSettings) -> Iterator[tuple[str, float]]:
    """What a word is an instance of, from the general to the particular, each with its κ."""
    shape, lower = shape_of(word), word.lower()
    yield f"shape {shape}", settings.end_prior
    for size in range(1, min(LONGEST_END, len(word)) + 1):
        yield f"end {shape} {lower[-size:]}", settings.end_prior
    yield f"lower {lower}", settings.word_prior
    yield f"word {word}", settings.word_prior


def train_hmm_tagger(
    sentences: Iterable[tuple[Sequence[str], Sequence[str]]], settings: HMMTaggerSettings | None = None
) -> HMMTagger:
    """An HMM tagger from sentences, each a pair of words and their tags.

    Raises TextError where there are no words, or not as many tags as words.
    """
    settings = settings or HMMTaggerSettings()
    spoken: Counter[tuple[str, str]] = Counter()
    moved: Counter[tuple[str | None, str | None]] = Counter()  # None: before the first word, after the last
    for words, tags in sentences:
        if len(words) != len(tags):
            raise TextError(f"{len(words)} words but {len(tags)} tags in the sentence {' '.join(words)[:60]!r}")
        if len(words):
            spoken.update(zip(words, tags, strict=True))
            moved.update(zip([None, *tags], [*tags, None], strict=True))
    if not spoken:
        raise TextError("there are no tagged words to learn from")
    names = sorted({tag for _, tag in spoken})
    number: dict[str | None, int] = {**{tag: at for at, tag in enumerate(names)}, None: len(names)}
    moves = torch.zeros(len(names) + 1, len(names) + 1)
    for (before, after), count in moved.items():
        moves[number[before], number[after]] = count
    times = Counter[str]()
    for (word, _), count in spoken.items():
        times[word] += count
    rows: dict[str, np.ndarray] = {}
    for (word, tag), count in spoken.items():
        for link, _ in chain(word, settings):
            if times[word] <= settings.rare or not link.startswith(("shape ", "end ")):
                rows.setdefault(link, np.zeros(len(names), np.float32))[number[tag]] += count
    return HMMTagger(settings, names, list(rows), torch.from_numpy(np.stack(list(rows.values()))), moves)
