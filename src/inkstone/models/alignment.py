"""IBM Models 1 and 2: which word of a sentence translates which word of its translation (Brown et al. 1993).

Both are models of a translation given its source, p(target | source), and no language models: they say nothing of the
next word. Each target word f_j is the translation of one source word e_i or of the null word e_0:

    p(f | e) = Π_j Σ_i a(i | j, l, m) t(f_j | e_i)         i = 0 … l, j = 1 … m
    Model 1:  a = 1 / (l + 1)
    Model 2:  a is a table, one distribution over i for every j, l, m

Both tables are learned by expectation–maximisation: the posterior of each link, then counts of posteriors in place of
counts. The likelihood never falls. Model 1 is convex, so where it begins does not matter; Model 2 begins at its tables.

The sums over i and j are over *cells*, one for each target word and source word of a sentence pair. They lie in flat
arrays, a target word's cells side by side, and point into one sparse table of the word pairs that occur together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from inkstone.errors import RecipeError, TextError

NULL = 0  # the source id of the null word
BLOCK_CELLS = 4_000_000

Sentence = Sequence[str]


@dataclass(frozen=True)
class Bitext:
    """Sentence pairs as ids, all sentences of a side one after the other."""

    source: np.ndarray  # int64 ids from 1; 0 is the null word, which stands in no sentence
    target: np.ndarray  # int64 ids from 0
    source_starts: np.ndarray  # int64, one more than there are pairs
    target_starts: np.ndarray
    source_words: tuple[str, ...]  # the null word first
    target_words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.source_starts) - 1

    def turned(self) -> "Bitext":
        """The same pairs with target and source in each other's place."""
        return Bitext(
            source=self.target + 1,
            target=self.source - 1,
            source_starts=self.target_starts,
            target_starts=self.source_starts,
            source_words=("", *self.target_words),
            target_words=self.source_words[1:],
        )


def bitext(pairs: Iterable[tuple[Sentence, Sentence]]) -> Bitext:
    """Ids from pairs of tokenised sentences, (source, target). Raises TextError where one side has no word at all."""
    source_ids: dict[str, int] = {"": NULL}
    target_ids: dict[str, int] = {}
    source, target, source_lengths, target_lengths = [], [], [0], [0]
    for left, right in pairs:
        source += [source_ids.setdefault(word, len(source_ids)) for word in left]
        target += [target_ids.setdefault(word, len(target_ids)) for word in right]
        source_lengths.append(len(left))
        target_lengths.append(len(right))
    if not source or not target:
        raise TextError(
            f"the {'source' if not source else 'target'} side of the {len(source_lengths) - 1} pairs is empty"
        )
    return Bitext(
        source=np.array(source, dtype=np.int64),
        target=np.array(target, dtype=np.int64),
        source_starts=np.cumsum(source_lengths, dtype=np.int64),
        target_starts=np.cumsum(target_lengths, dtype=np.int64),
        source_words=tuple(source_ids),
        target_words=tuple(target_ids),
    )


@dataclass(frozen=True)
class Cells:
    """The cells of a stretch of sentence pairs, by target word; the null word's is the first of each."""

    source: np.ndarray  # id of the source word
    target: np.ndarray  # id of the target word
    position: np.ndarray  # i: 0 is the null word
    place: np.ndarray  # index into a table a(i | j, l, m), -1 where it has no such lengths
    starts: np.ndarray  # of each target word's cells
    widths: np.ndarray  # how many: l + 1


@dataclass(frozen=True)
class Places:
    """The layout of the table a(i | j, l, m): for every pair of lengths that occurs, m rows of l + 1 numbers."""

    lengths: np.ndarray  # sorted (l << 32) | m
    bases: np.ndarray  # where the rows of each begin
    row_starts: np.ndarray
    size: int

    @classmethod
    def of(cls, text: Bitext) -> "Places":
        """The layout for the sentence lengths of a bitext."""
        lengths = np.unique(_lengths(text))
        source, target = lengths >> 32, lengths & 0xFFFFFFFF
        sizes = (source + 1) * target
        widths = np.repeat(source + 1, target)
        row_starts = np.cumsum(widths) - widths
        return cls(lengths, np.cumsum(sizes) - sizes, row_starts, int(sizes.sum()))

    def row_widths(self) -> np.ndarray:
        """How many numbers each row has: l + 1."""
        return np.diff(self.row_starts, append=self.size)


def _lengths(text: Bitext) -> np.ndarray:
    return np.diff(text.source_starts) << 32 | np.diff(text.target_starts)


def _cells(text: Bitext, first: int, last: int, places: Places | None) -> Cells:
    """The cells of the pairs from `first` to before `last`."""
    sentence_widths = np.diff(text.source_starts[first : last + 1]) + 1
    target_lengths = np.diff(text.target_starts[first : last + 1])
    widths = np.repeat(sentence_widths, target_lengths)
    starts = np.cumsum(widths) - widths
    position = np.arange(int(widths.sum())) - np.repeat(starts, widths)
    begin, end = text.source_starts[first], text.source_starts[last]
    words = np.concatenate([[NULL], text.source[begin:end]])
    before_sentence = np.repeat(np.repeat(text.source_starts[first:last] - begin, target_lengths), widths)
    source = np.where(position == 0, NULL, words[before_sentence + position])
    target_begin, target_end = text.target_starts[first], text.target_starts[last]
    place = np.zeros(0, dtype=np.int64)
    if places is not None:
        lengths = _lengths(text)[first:last]
        at = np.minimum(np.searchsorted(places.lengths, lengths), len(places.lengths) - 1)
        known = places.lengths[at] == lengths
        j = np.arange(target_begin, target_end) - np.repeat(text.target_starts[first:last], target_lengths)
        row = np.repeat(places.bases[at], target_lengths) + j * widths
        row = np.where(np.repeat(known, target_lengths), row, -(1 << 62))
        place = np.maximum(np.repeat(row, widths) + position, -1)
    return Cells(source, np.repeat(text.target[target_begin:target_end], widths), position, place, starts, widths)


def _blocks(text: Bitext) -> Iterator[tuple[int, int]]:
    """Stretches of pairs of about `BLOCK_CELLS` cells."""
    sizes = np.cumsum((np.diff(text.source_starts) + 1) * np.diff(text.target_starts))
    first = 0
    while first < len(text):
        before = sizes[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(sizes, before + BLOCK_CELLS, side="right")))
        yield first, last
        first = last


@dataclass
class WordTranslation:
    """Model 1, or Model 2 where `places` is there: the learned tables.

    The words are those of the bitext it was learned from; texts in other ids are first brought to them by `encode`.
    """

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    keys: np.ndarray  # sorted: source id · number of target words + target id, of each pair that occurred
    translation: np.ndarray  # t(f | e) of each
    places: Places | None = None
    position: np.ndarray | None = None  # a(i | j, l, m)
    log_likelihood: list[float] = field(default_factory=list)  # nats, before each iteration

    def probability(self, target: str, source: str | None) -> float:
        """t(target | source); `source` None is the null word."""
        try:
            key = self.source_words.index(source or "") * len(self.target_words) + self.target_words.index(target)
        except ValueError:
            return 0.0
        at = int(np.searchsorted(self.keys, key))
        return float(self.translation[at]) if at < len(self.keys) and self.keys[at] == key else 0.0

    def translations(self, source: str, top: int = 5) -> list[tuple[str, float]]:
        """The likeliest translations of a word with their probabilities."""
        if source not in self.source_words:
            return []
        size = len(self.target_words)
        low, high = np.searchsorted(self.keys, np.array([0, 1]) * size + self.source_words.index(source) * size)
        best = low + np.argsort(-self.translation[low:high], kind="stable")[:top]
        return [(self.target_words[int(self.keys[at] % size)], float(self.translation[at])) for at in best]

    def encode(self, pairs: Iterable[tuple[Sentence, Sentence]]) -> Bitext:
        """A bitext in the ids of this model; words that it does not know have ids beyond its own."""
        text = bitext(pairs)
        source_ids = {word: number for number, word in enumerate(self.source_words)}
        target_ids = {word: number for number, word in enumerate(self.target_words)}
        source_map = np.array([source_ids.setdefault(word, len(source_ids)) for word in text.source_words])
        target_map = np.array([target_ids.setdefault(word, len(target_ids)) for word in text.target_words])
        return Bitext(
            source=source_map[text.source],
            target=target_map[text.target],
            source_starts=text.source_starts,
            target_starts=text.target_starts,
            source_words=tuple(source_ids),
            target_words=tuple(target_ids),
        )

    def links(self, text: Bitext) -> list[np.ndarray]:
        """The best link of every target word, if it is not to the null word: of each pair an array (n, 2) of (i, j) from 0.

        Words and lengths that were not in the training text get no link and uniform positions.
        """
        found: list[np.ndarray] = []
        for first, last in _blocks(text):
            cells = _cells(text, first, last, self.places)
            weight = self._weight(cells)
            best = np.maximum.reduceat(weight, cells.starts) if len(cells.starts) else np.zeros(0)
            hits = np.flatnonzero(weight == np.repeat(best, cells.widths))
            word, at = np.unique(np.searchsorted(cells.starts, hits, side="right") - 1, return_index=True)
            i = cells.position[hits[at]] - 1
            linked = (i >= 0) & (best > 0)
            begin = text.target_starts[first : last + 1] - text.target_starts[first]
            sentence = np.searchsorted(begin, word, side="right") - 1
            both = np.stack([i, word - begin[sentence]], axis=1)[linked]
            cuts = np.searchsorted(sentence[linked], np.arange(1, last - first))
            found += np.split(both, cuts)
        return found

    def _weight(self, cells: Cells) -> np.ndarray:
        """a · t of each cell; a left out where it is uniform."""
        size = len(self.target_words)
        keys = np.where(
            (cells.target < size) & (cells.source < len(self.source_words)), cells.source * size + cells.target, -1
        )
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        weight = np.where(self.keys[at] == keys, self.translation[at], 0.0)
        if self.position is not None:
            weight *= np.where(cells.place >= 0, self.position[cells.place], 1.0)
        return weight


def fit(
    text: Bitext,
    model: int = 2,
    iterations: int = 5,
    report: Callable[[str], None] = lambda words: None,
) -> WordTranslation:
    """Learn Model 1 by `iterations` of expectation–maximisation from uniform tables, then for `model` 2 as many of Model 2.

    Memory: 4 bytes a cell (8 for Model 2), 24 a pair of words. `report` is told of every iteration.
    """
    if model not in (1, 2):
        raise RecipeError(f"the IBM models here are 1 and 2, not {model}")
    if iterations < 1:
        raise RecipeError(f"expectation–maximisation needs at least 1 iteration, not {iterations}")
    blocks = list(_blocks(text))
    size = len(text.target_words)
    keys = np.zeros(0, dtype=np.int64)
    for block in blocks:
        cells = _cells(text, *block, None)
        keys = np.union1d(keys, cells.source * size + cells.target)
    learned = WordTranslation(text.source_words, text.target_words, keys, np.full(len(keys), 1 / size))
    pairs = []
    for block in blocks:
        cells = _cells(text, *block, None)
        pairs.append(np.searchsorted(keys, cells.source * size + cells.target).astype(np.int32))
    spots: list[np.ndarray] = []
    for stage in range(1, model + 1):
        if stage == 2:
            learned.places = Places.of(text)
            widths = learned.places.row_widths()
            learned.position = np.repeat(1 / widths, widths)
            spots = [_cells(text, *block, learned.places).place.astype(np.int32) for block in blocks]
        for iteration in range(iterations):
            likelihood = _improve(learned, text, blocks, pairs, spots)
            learned.log_likelihood.append(likelihood)
            perplexity = np.exp(-likelihood / len(text.target))
            report(f"Model {stage}, iteration {iteration + 1} of {iterations}: perplexity {perplexity:,.1f}")
    return learned


def _improve(
    learned: WordTranslation,
    text: Bitext,
    blocks: list[tuple[int, int]],
    pairs: list[np.ndarray],
    spots: list[np.ndarray],
) -> float:
    """One iteration: new tables from expected counts. Returns the log-likelihood under the old ones."""
    likelihood = 0.0
    counts = np.zeros(len(learned.translation))
    places = learned.places
    position_counts = np.zeros(places.size if places else 0)
    for number, (first, last) in enumerate(blocks):
        target_lengths = np.diff(text.target_starts[first : last + 1])
        widths = np.repeat(np.diff(text.source_starts[first : last + 1]) + 1, target_lengths)
        if not len(widths):
            continue
        weight = learned.translation[pairs[number]]
        if learned.position is None:
            likelihood -= float(np.log(widths).sum())
        else:
            weight *= learned.position[spots[number]]
        total = np.add.reduceat(weight, np.cumsum(widths) - widths)
        likelihood += float(np.log(total).sum())
        weight /= np.repeat(total, widths)
        counts += np.bincount(pairs[number], weight, minlength=len(counts))
        if places:
            position_counts += np.bincount(spots[number], weight, minlength=places.size)
    source_of_pair = learned.keys // len(learned.target_words)
    learned.translation = counts / np.bincount(source_of_pair, counts)[source_of_pair]
    if places:
        sums = np.add.reduceat(position_counts, places.row_starts)
        learned.position = position_counts / np.repeat(sums, places.row_widths())
    return likelihood
