"""A reader of words for tagging from the start: each word by itself and by its characters, then all words from both ends.

    xᵢ = [ word(wᵢ) ; max over t of relu(conv(characters of wᵢ))ₜ ; shape(wᵢ) ; affixes(wᵢ) ]
    hᵢ = BiLSTM(x₁ … xₙ)ᵢ + P xᵢ            and so for each further layer, without P

A word has a vector of its own if the examples have it at least twice, whatever its case; to the others, and in training to a
share of all of them (`word_dropout`), belongs the vector of the unknown word, so that their characters must tell.
Where units are single characters, as in Chinese, pairs of neighbours have vectors too: a character means little alone.
Vectors that were learned from much plain text stand beside all this and stay as they are (`given_words.py`).

What passes by the LSTMs says at once what a word mostly is, so that these learn only what its neighbours change.

The body reads tokens of a tokenizer of kind "character", and `units`, the first of each word. A word is known by a number made of
its tokens (`word_keys.py`); characters are read once for each different word of a batch.
Sources: Lample et al. 2016 and Ma & Hovy 2016 (words and characters under an LSTM), Dozat & Manning 2017 (dropout), Chen et al.
2015 (pairs of characters), Kim et al. 2017 (residual LSTMs).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.both_ways import BothWays
from inkstone.layers.recurrent import locked_dropout
from inkstone.layers.seen_from import ASKED, SeenFrom
from inkstone.models.affixes import Affixes, affix_keys
from inkstone.models.character_kinds import KINDS, kinds_of_tokens, lower_case
from inkstone.models.given_words import GivenWords
from inkstone.models.word_keys import MOST_WORDS, MULTIPLIER, frequent, key_of, rows_of
from inkstone.tokens.example_batches import Encoded, ExampleBatch, collate
from inkstone.tokens.tokenizer import Tokenizer

KEPT = 20  # characters of a word that are read: of a longer one half from its beginning, half from its end
SHORT_UNITS = 1.25  # tokens in the mean, below which units are characters and pairs of them are read
OUTSIDE = (-1, -2)  # what stands for a neighbour before the first word and after the last
AT_ONCE = 256  # examples counted together
DEVIATION = 0.4  # of the numbers in fresh vectors: what is looked up must weigh as much as what is always there


@dataclass(frozen=True)
class WordReaderSettings:
    """The shape of the reader. What it learned to know (`words`, `affixes`, `pairs`, `given`, `marks`) is counted here too."""

    vocab_size: int  # of the characters
    width: int = 256  # of a word's state, both directions together
    n_layers: int = 2
    word_width: int = 100
    character_width: int = 32
    filters: int = 100  # over characters
    kernel: int = 5  # characters that a filter sees
    dropout: float = 0.33  # of what each layer reads, one mask for all words of a row
    word_dropout: float = 0.2  # share of the words that are unknown while it learns
    words: int = 0
    affixes: int = 0
    pairs: int = 0
    given: int = 0  # words whose vectors were given
    given_width: int = 0
    marks: int = 0  # the highest mark that a unit may carry, see `Encoded.marks`
    focus: int = 0  # the highest of `Encoded.focus`
    focus_width: int = 192  # of a word as it is seen from the one that is asked about
    focus_layers: int = 2  # that read the words so

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "n_layers", "word_width", "character_width", "filters"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if self.width < 2 or self.width % 2:
            raise RecipeError(f"width = {self.width}, but both directions have half of it each: it must be even")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise RecipeError(f"kernel = {self.kernel}, but a filter looks as far to both sides: it must be odd")
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 0 and below 1")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "WordReaderSettings":
        """The reader beside an encoder of this width: an LSTM has fewer weights for its width, so it is wider."""
        shape = {"width": 2 * width, "n_layers": max(2, n_layers - 1), "focus_width": 3 * width // 4 * 2}
        return cls(**{"vocab_size": vocab_size, **shape, **given})

    @property
    def inputs(self) -> int:
        """Numbers in what the first LSTM reads of a word."""
        pairs, marks = (self.word_width if self.pairs else 0), (self.character_width if self.marks else 0)
        affixes = self.word_width // 2 if self.affixes else 0
        given = self.given_width if self.given else 0
        around = GivenWords.width_around(given) if given and self.pairs else 0
        return self.word_width + self.filters + 4 * KINDS + affixes + pairs + marks + given + around


@dataclass(frozen=True)
class Spelled:
    """The words of a batch, row after row."""

    tokens: Int[Tensor, "w k"]  # their tokens + 1, cut to `KEPT`; 0 after the end
    size: Int[Tensor, " w"]  # their whole length in tokens


class WordReader(nn.Module):
    """A body for `Headed`: `read_units` gives a state for every word."""

    family: ClassVar[str] = "word_reader"
    Settings: ClassVar = WordReaderSettings
    tokenizer_kind: ClassVar[str] = "character"
    longest_input: ClassVar[int] = 2048  # tokens: for memory's sake alone
    fresh_rate: ClassVar[float] = 4e-3  # learning rate from the start

    word_keys: Tensor
    pair_keys: Tensor
    lower: Tensor
    shapes: Tensor

    def __init__(self, settings: WordReaderSettings, tokenizer: Tokenizer):
        super().__init__()
        self.tokenizer = tokenizer
        self.register_buffer("lower", lower_case(tokenizer, settings.vocab_size), persistent=False)
        self.register_buffer("shapes", kinds_of_tokens(tokenizer, settings.vocab_size), persistent=False)
        self._build(settings)

    def _build(self, settings: WordReaderSettings) -> None:
        self.settings = s = settings
        self.register_buffer("word_keys", torch.zeros(s.words, dtype=torch.int64))
        self.register_buffer("pair_keys", torch.zeros(s.pairs, dtype=torch.int64))
        self.words = nn.Embedding(s.words + 1, s.word_width)
        self.affixes = Affixes(s.affixes, s.word_width // 2) if s.affixes else None
        self.pairs = nn.Embedding(s.pairs + 1, s.word_width // 2) if s.pairs else None
        self.given = GivenWords(s.given, s.given_width) if s.given else None
        self.marks = nn.Embedding(s.marks + 1, s.character_width) if s.marks else None
        self.characters = nn.Embedding(s.vocab_size + 3, s.character_width, padding_idx=0)  # and the ends of a word
        self.filters = nn.Conv1d(s.character_width, s.filters, s.kernel, padding=s.kernel // 2)
        self.past = nn.Linear(s.inputs, s.width, bias=False)
        widths = [s.inputs, *[s.width] * (s.n_layers - 1)]
        self.layers = nn.ModuleList(BothWays("lstm", inputs, s.width // 2) for inputs in widths)
        self.seen_from = self._fresh_focus()

    def _fresh_focus(self) -> SeenFrom | None:
        s = self.settings
        return SeenFrom(s.width, s.focus_width, s.focus_layers, s.focus, s.dropout) if s.focus else None

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "WordReader":
        """Draw fresh weights: vectors with `DEVIATION`, filters with √(2 / fan-in), P with 1/√fan-in, LSTMs as `RecurrentLayer`."""
        for table in (self.words, self.pairs, self.marks, self.characters):
            if table is not None:
                table.weight.normal_(0, DEVIATION, generator=generator)
        self.characters.weight[0] = 0
        if self.affixes is not None:
            self.affixes.initialise(generator)
        self.past.weight.normal_(0, self.settings.inputs**-0.5, generator=generator)
        fan_in = self.filters.weight[0].numel()
        self.filters.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        assert self.filters.bias is not None
        self.filters.bias.zero_()
        for layer in self.layers:
            assert isinstance(layer, BothWays)
            layer.initialise(generator)
        if self.seen_from is not None:
            self.seen_from.initialise(generator, DEVIATION)
        return self

    @torch.no_grad()
    def learn_words(
        self,
        inputs: Sequence[Encoded],
        generator: torch.Generator,
        vectors: tuple[Sequence[str], np.ndarray] | None = None,
    ) -> str:
        """Take the words of the training examples for those that are known, draw all weights anew, and say what it knows.

        `vectors`, words and their vectors (n, width), are centred, brought to the size of fresh vectors, and kept as they are;
        where units are characters at half the width. Wider ones are projected to their leading directions.
        """
        device = self.words.weight.device
        self.to("cpu")
        keys, affixes, pairs, tokens = [], [], [], 0
        # The same words with another focus count once.
        different = list({(each.ids.tobytes(), np.asarray(each.units).tobytes()): each for each in inputs}.values())
        for begin in range(0, len(different), AT_ONCE):
            batch = collate(different[begin : begin + AT_ONCE])
            spelled = self._spelled(batch)
            words, _ = self._known_as(spelled)
            keys.append(words.numpy())
            tokens += int(spelled.size.sum())
            theirs, before, after = _pair_keys(words, batch)
            affixes.append(self._affix_keys(spelled).flatten().numpy())
            pairs.append(theirs[torch.cat((before, after)).unique()].numpy())
        short = tokens < SHORT_UNITS * sum(map(len, keys))
        known = frequent(np.concatenate(keys))
        nothing = np.zeros(0, np.int64)
        common = frequent(np.concatenate(pairs)) if short else nothing
        parts = nothing if short else frequent(np.concatenate(affixes))
        parts = parts[parts != 0]
        marks = max((int(each.marks.max(initial=0)) for each in inputs if each.marks is not None), default=0)
        found, values = nothing, np.zeros((0, 0), np.float32)
        if vectors is not None:
            found, values = self._placed(*vectors)
            values = _of_width(values, self.settings.word_width // (2 if short else 1))
        counted = {"words": len(known), "affixes": len(parts), "pairs": len(common), "given": len(found)}
        self._build(
            replace(self.settings, **counted, marks=marks, focus=_highest_focus(inputs), given_width=values.shape[1])
        )
        self.word_keys.copy_(torch.from_numpy(known))
        self.pair_keys.copy_(torch.from_numpy(common))
        if self.affixes is not None:
            self.affixes.hold(parts)
        self.initialise(generator)
        told = f"{len(known):,} words" + (f" and {len(common):,} pairs of them" if short else "")
        if self.given is not None:
            self.given.hold(found, values)
            told += f", and the vectors of {len(found):,}"
        self.to(device)
        return told

    @torch.no_grad()
    def learn_focus(self, inputs: Sequence[Encoded], generator: torch.Generator) -> str | None:
        """Add fresh layers that see the words from the one that is asked about, if the inputs ask and there are none yet."""
        focus = _highest_focus(inputs)
        if self.seen_from is not None or not focus:
            return None
        self.settings = replace(self.settings, focus=focus)
        fresh = self.seen_from = self._fresh_focus()
        assert fresh is not None
        fresh.initialise(generator, DEVIATION)
        fresh.to(self.words.weight.device)
        return f"{self.settings.focus_layers}, {self.settings.focus_width} wide"

    def read_units(self, batch: ExampleBatch) -> Float[Tensor, "b n width"]:
        """The states of the words of each row; what stands at padding means nothing. Rows of the same words read them once.

        Raises RecipeError where a word is asked about and no example that this reader learned from asked about one.
        """
        assert batch.units is not None and batch.unit_valid is not None
        if self.seen_from is None:
            if batch.focus is not None and bool((batch.focus == ASKED).any()):
                raise RecipeError(
                    "this reader of words learned from examples that ask about no word, and cannot tell which one is asked about"
                )
            return self._read_texts(batch)
        focus = torch.zeros_like(batch.units) if batch.focus is None else batch.focus
        words = batch.ids.masked_fill(~batch.valid, -1), batch.units.masked_fill(~batch.unit_valid, -1)
        _, text = torch.cat(words, dim=1).unique(dim=0, return_inverse=True)
        states = self._read_texts(_rows_of(batch, _first_of_each(text)))
        return self.seen_from(states[text], focus, batch.unit_valid)

    def _read_texts(self, batch: ExampleBatch) -> Float[Tensor, "b n width"]:
        spelled = self._spelled(batch)
        known, exact = self._known_as(spelled)
        _, kind = exact.unique(return_inverse=True)
        first = _first_of_each(kind)
        once = Spelled(spelled.tokens[first], spelled.size[first])
        spelling = [self._read_characters(once), self._shape(once)]
        if self.affixes is not None:
            spelling.append(self.affixes(self._affix_keys(once)))
        by_spelling = torch.cat(spelling, dim=-1)
        parts = [self.words(self._unknown_at_random(rows_of(self.word_keys, known))), by_spelling[kind]]
        if self.marks is not None:
            assert batch.unit_valid is not None
            mark = torch.zeros_like(known) if batch.marks is None else batch.marks[batch.unit_valid]
            parts.append(self.marks(mark.clamp(0, self.settings.marks)))
        if self.given is not None:
            parts.append(self.given.vectors[self._unknown_at_random(self.given.rows(known))])
            if self.pairs is not None:
                tokens = self.lower[spelled.tokens]
                parts.append(self.given.around(tokens, spelled.size, _row_of_each(batch)))
        if self.pairs is not None:
            keys, before, after = _pair_keys(known, batch)
            pairs = self.pairs(self._unknown_at_random(rows_of(self.pair_keys, keys)))
            parts += [pairs[before], pairs[after]]
        return self._read_words(torch.cat(parts, dim=-1), batch)

    def _read_words(self, words: Float[Tensor, "w m"], batch: ExampleBatch) -> Float[Tensor, "b n width"]:
        valid = batch.unit_valid
        assert valid is not None
        x = words.new_zeros(*valid.shape, words.shape[1])
        x[valid] = words
        x, lengths = x.transpose(0, 1), valid.sum(1)
        for number, layer in enumerate(self.layers):
            x = locked_dropout(x, self.settings.dropout if self.training else 0.0)
            x = layer(x, lengths) + (self.past(x) if number == 0 else x)
        return x.transpose(0, 1)

    def _read_characters(self, words: Spelled) -> Float[Tensor, "w filters"]:
        """The strongest answer of each filter anywhere in the word, its ends marked."""
        begin, end = self.settings.vocab_size + 1, self.settings.vocab_size + 2
        kept = words.size.clamp(max=KEPT)
        tokens = F.pad(F.pad(words.tokens, (1, 0), value=begin), (0, 1))
        tokens = tokens.scatter(1, (kept + 1)[:, None], end)
        answers = self.filters(self.characters(tokens).transpose(1, 2))
        return torch.relu(answers.masked_fill((tokens == 0)[:, None], -torch.inf).amax(-1))

    def _shape(self, words: Spelled) -> Float[Tensor, "w kinds"]:
        """The kind of the first character and of the last, which kinds occur, and of which all are."""
        kinds = self.shapes[words.tokens]
        inside = (words.tokens > 0)[..., None]
        last = kinds.gather(1, (words.size.clamp(max=KEPT) - 1)[:, None, None].expand(-1, 1, KINDS))
        every = kinds.masked_fill(~inside, 1.0).amin(1)
        return torch.cat((kinds[:, 0], last[:, 0], kinds.amax(1), every), dim=-1)

    def _unknown_at_random(self, rows: Int[Tensor, " w"]) -> Int[Tensor, " w"]:
        if not self.training or not self.settings.word_dropout:
            return rows
        return rows * (torch.rand(rows.shape, device=rows.device) >= self.settings.word_dropout)

    def _spelled(self, batch: ExampleBatch) -> Spelled:
        units, valid = batch.units, batch.unit_valid
        assert units is not None and valid is not None
        number = torch.arange(units.shape[1], device=units.device)
        last = number == valid.sum(1, keepdim=True) - 1
        ends = torch.where(last, batch.valid.sum(1, keepdim=True), F.pad(units[:, 1:], (0, 1)))
        rows = valid.nonzero()[:, :1]
        begin, end = units[valid][:, None], ends[valid][:, None]
        size = end - begin
        at = torch.arange(min(KEPT, int(size.max())), device=units.device)
        places = torch.where((size > KEPT) & (at >= KEPT // 2), end - KEPT + at, begin + at)
        inside = at < size
        tokens = batch.ids[rows, places.clamp(max=batch.ids.shape[1] - 1)] + 1
        return Spelled(torch.where(inside, tokens, 0), size[:, 0])

    def _affix_keys(self, words: Spelled) -> Int[Tensor, "w affixes"]:
        return affix_keys(self.lower[words.tokens], words.size.clamp(max=KEPT))

    def _known_as(self, words: Spelled) -> tuple[Int[Tensor, " w"], Int[Tensor, " w"]]:
        """The keys of the words in lower case, and as they stand."""
        return key_of(self.lower[words.tokens], words.size), key_of(words.tokens, words.size)

    def _placed(self, words: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The keys of words that have vectors, sorted, and their vectors; of words that differ in case the first."""
        spelled = [ids.astype(np.int64) for ids in self.tokenizer.encode_batch(list(words[:MOST_WORDS]))]
        keys = []
        for begin in range(0, len(spelled), AT_ONCE):
            rows = [Encoded(ids, units=np.zeros(1, np.int64)) for ids in spelled[begin : begin + AT_ONCE]]
            keys.append(self._known_as(self._spelled(collate(rows)))[0].numpy())
        found, first = np.unique(np.concatenate(keys), return_index=True)
        return found, vectors[first]


def _highest_focus(inputs: Sequence[Encoded]) -> int:
    return max((int(each.focus.max(initial=0)) for each in inputs if each.focus is not None), default=0)


def _first_of_each(kinds: Int[Tensor, " n"]) -> Int[Tensor, " k"]:
    """Where each kind, numbered from 0, stands; any place of several."""
    first = torch.empty(int(kinds.max()) + 1, dtype=torch.int64, device=kinds.device)
    first[kinds] = torch.arange(len(kinds), device=kinds.device)
    return first


def _rows_of(batch: ExampleBatch, rows: Int[Tensor, " r"]) -> ExampleBatch:
    """The batch with these rows alone."""
    kept: dict[str, Any] = {name: None if value is None else value[rows] for name, value in vars(batch).items()}
    return ExampleBatch(**kept)


def _pair_keys(
    words: Int[Tensor, " w"], batch: ExampleBatch
) -> tuple[Int[Tensor, " p"], Int[Tensor, " w"], Int[Tensor, " w"]]:
    """A number for each pair of neighbours, the ends of rows included; for each word the pair before it and after it."""
    assert batch.unit_valid is not None
    lengths, row = batch.unit_valid.sum(1), _row_of_each(batch)
    at = torch.arange(len(words), device=words.device)
    line = words.new_empty(len(words) + 2 * len(lengths))  # each row with what stands before and after it
    line[at + 2 * row + 1] = words
    ends = torch.cumsum(lengths + 2, 0)
    line[ends - lengths - 2], line[ends - 1] = OUTSIDE
    return line[:-1] * MULTIPLIER + line[1:], at + 2 * row, at + 2 * row + 1


def _row_of_each(batch: ExampleBatch) -> Int[Tensor, " w"]:
    """The row that each unit stands in."""
    assert batch.unit_valid is not None
    return batch.unit_valid.nonzero()[:, 0]


def _of_width(vectors: np.ndarray, width: int) -> np.ndarray:
    """Centred, projected where they are wider, with the mean square that fresh vectors have."""
    values = vectors.astype(np.float32) - vectors.mean(0, dtype=np.float32)
    if values.shape[1] > width:
        _, axes = np.linalg.eigh(values.T @ values)
        values = values @ axes[:, ::-1][:, :width]
    return values * (DEVIATION / max(float(np.sqrt(np.mean(values**2))), 1e-12))
