"""Training batches of labelled examples: rows of like length side by side, any batch at any time by its number.

Examples that a language model goes on with (`Encoded.answers`) are packed: several in a row, each a document of its own, inside
which attention stays, and the rows as few as it takes. Nothing is sorted by length then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.errors import TextError
from inkstone.tokens.packing import NOTHING, packed

NOT_ASKED = -100  # in targets: a unit that has no label to learn
BUCKET = 32  # batches whose examples are sorted by length together


@dataclass(frozen=True)
class Encoded:
    """One example as numbers. What a task does not use stays None."""

    ids: Int[np.ndarray, " t"]  # tokens of the whole input, special ones included
    types: Int[np.ndarray, " t"] | None = None  # the segment of each token: 0, or 1 for the second text of a pair
    units: Int[np.ndarray, " n"] | None = None  # the first token of each unit (word) that gets a label of its own
    target: np.ndarray | None = None  # () one label, (labels,) several, (n,) one a unit, (2,) a span
    weight: float = 1.0  # how much the example counts in the loss
    marks: Int[np.ndarray, " n"] | None = None  # what is known of each unit beforehand, as a small number; 0: nothing
    focus: Int[np.ndarray, " n"] | None = (
        None  # how each unit stands to the one that is asked about: 1 itself; 0: none is
    )
    characters: Int[np.ndarray, "t 2"] | None = (
        None  # which of the text a token spells, where an answer may hold it; 0, 0
    )
    written: Int[np.ndarray, " u"] | None = None  # tokens of the text that is to be written, its end included
    features: Float[np.ndarray, "frames bins"] | None = None  # of sound, which is read in place of tokens
    cut: bool = False  # whether something of the text is left out, since it is longer than the context
    answers: Bool[np.ndarray, " t"] | None = None  # which of `ids` are to be written, those before them being read
    sequence: Int[np.ndarray, " t"] | None = None  # which text a token is of, where `ids` are several: 0, 1, ...
    part: int = 0  # of an example with several texts: which of them this is a window of
    reference: Float[np.ndarray, " s"] | None = None  # log-probability of the answers of each, by the model as it began

    @property
    def taught(self) -> bool:
        """Whether it says what is right, so that it can be learned from."""
        answers = self.answers is not None and bool(self.answers.any())
        return self.target is not None or self.written is not None or answers

    @property
    def length(self) -> int:
        """Places of what is read: frames of sound, else tokens."""
        return len(self.ids if self.features is None else self.features)


@dataclass(frozen=True)
class ExampleBatch:
    """Examples as rows, padded on the right. `units` and `unit_valid` are there where words are labelled.

    Where they are packed, `document` numbers the texts in the order of the examples, and is −1 of padding.
    """

    ids: Int[Tensor, "b t"]
    valid: Bool[Tensor, "b t"]
    types: Int[Tensor, "b t"] | None
    units: Int[Tensor, "b n"] | None
    unit_valid: Bool[Tensor, "b n"] | None
    target: Tensor | None
    weight: Float[Tensor, " b"]
    marks: Int[Tensor, "b n"] | None = None
    focus: Int[Tensor, "b n"] | None = None
    characters: Int[Tensor, "b t 2"] | None = None
    written: Int[Tensor, "b u"] | None = None
    written_valid: Bool[Tensor, "b u"] | None = None
    document: Int[Tensor, "b t"] | None = None
    answers: Bool[Tensor, "b t"] | None = None
    reference: Float[Tensor, "e s"] | None = None  # of each example and each of its texts
    features: Float[Tensor, "b t bins"] | None = None
    frames: Int[Tensor, " b"] | None = None  # of each row's features

    @property
    def places(self) -> int:
        """Tokens, or frames of sound, that are read, padding included."""
        return self.ids.numel() if self.features is None else self.features.shape[0] * self.features.shape[1]


def collate(examples: Sequence[Encoded]) -> ExampleBatch:
    """Rows of one batch. Targets of one length are stacked; those of a label a unit are filled up with `NOT_ASKED`."""
    if examples[0].answers is not None:
        return _packed(examples)
    ids, valid = _padded([example.ids for example in examples])
    types = units = unit_valid = target = marks = focus = written = written_valid = None
    if examples[0].types is not None:
        types, _ = _padded([example.types for example in examples])  # type: ignore[misc]
    if examples[0].units is not None:
        units, unit_valid = _padded([example.units for example in examples])  # type: ignore[misc]
    if examples[0].marks is not None:
        marks, _ = _padded([example.marks for example in examples])  # type: ignore[misc]
    if examples[0].focus is not None:
        focus, _ = _padded([example.focus for example in examples])  # type: ignore[misc]
    if all(example.written is not None for example in examples):
        written, written_valid = _padded([example.written for example in examples])  # type: ignore[misc]
    if all(example.target is not None for example in examples):
        targets = [np.asarray(example.target) for example in examples]
        if examples[0].units is not None and targets[0].ndim == 1:
            target, _ = _padded(targets, NOT_ASKED)
        else:
            target = torch.from_numpy(np.stack(targets))
    weight = torch.tensor([example.weight for example in examples], dtype=torch.float32)
    characters = None
    if examples[0].characters is not None:
        sides = [_padded([example.characters[:, side] for example in examples])[0] for side in (0, 1)]  # type: ignore[index]
        characters = torch.stack(sides, dim=-1)
    features, frames = _sounds([example.features for example in examples if example.features is not None])
    return ExampleBatch(
        ids, valid, types, units, unit_valid, target, weight, marks, focus, characters, written, written_valid,
        features=features, frames=frames,
    )  # fmt: skip


def _sounds(
    rows: Sequence[Float[np.ndarray, "frames bins"]],
) -> tuple[Float[Tensor, "b t bins"], Int[Tensor, " b"]] | tuple[None, None]:
    if not rows:
        return None, None
    lengths = [len(row) for row in rows]
    table = np.zeros((len(rows), max(lengths), rows[0].shape[1]), dtype=np.float32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return torch.from_numpy(table), torch.tensor(lengths)


def _packed(examples: Sequence[Encoded]) -> ExampleBatch:
    """Rows of several examples each, as long as the longest of them."""
    document, texts = [], 0
    for example in examples:
        own = np.zeros(len(example.ids), dtype=np.int64) if example.sequence is None else example.sequence
        document.append(own + texts)
        texts += 1 if example.sequence is None else int(own.max(initial=0)) + 1
    answers = [np.asarray(example.answers, dtype=np.int64) for example in examples]
    rows = packed([len(example.ids) for example in examples])
    ids, documents, marks = (
        torch.from_numpy(_laid(rows, parts, fill))
        for parts, fill in (([example.ids for example in examples], 0), (document, NOTHING), (answers, 0))
    )
    reference = None
    if all(example.reference is not None for example in examples):
        reference = torch.from_numpy(np.stack([example.reference for example in examples])).float()  # type: ignore[arg-type]
    weight = torch.tensor([example.weight for example in examples], dtype=torch.float32)
    valid = documents != NOTHING
    return ExampleBatch(
        ids, valid, None, None, None, None, weight, document=documents, answers=marks.bool(), reference=reference
    )


def _laid(rows: Sequence[Sequence[int]], parts: Sequence[np.ndarray], fill: int) -> Int[np.ndarray, "b t"]:
    """The parts of each row side by side, filled up to the longest row."""
    laid = [np.concatenate([parts[number] for number in row]) for row in rows]
    table = np.full((len(laid), max(map(len, laid))), fill, dtype=np.int64)
    for line, row in zip(table, laid, strict=True):
        line[: len(row)] = row
    return table


def _padded(rows: Sequence[np.ndarray], fill: int = 0) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
    lengths = np.array([len(row) for row in rows])
    table = np.full((len(rows), max(1, int(lengths.max()))), fill, dtype=np.int64)
    valid = np.arange(table.shape[1]) < lengths[:, None]
    table[valid] = np.concatenate(rows) if lengths.sum() else []
    return torch.from_numpy(table), torch.from_numpy(valid)


class ExampleBatches:
    """Batches of `rows` examples, by number; those that ask about units of one text stand together, so that it is read once.

    Each epoch shuffles the examples, sorts stretches of `BUCKET` batches by length, so that little is padded, and shuffles
    the batches; all of it drawn from (seed, epoch) alone. The last batch of an epoch may be smaller.

    With `tokens` a batch holds about so many, what is read and what is written together, and as many rows as these make: all
    examples are sorted by length, and chance decides between those of one length.
    """

    def __init__(self, examples: Sequence[Encoded], *, rows: int, seed: int, tokens: int | None = None):
        if not examples:
            raise TextError("there is no example to learn from")
        self.examples, self.rows, self.seed = examples, max(1, min(rows, len(examples))), seed
        self.lengths = np.array([example.length for example in examples])
        self.context = int(self.lengths.max())
        self.places = self.lengths + [0 if each.written is None else len(each.written) for each in examples]
        # Where batches begin, the first left out.
        self.cuts = None if tokens is None else _cuts(np.sort(self.places), tokens)
        self.batches_per_epoch = -(-len(examples) // self.rows) if self.cuts is None else len(self.cuts) + 1
        texts: dict[bytes | int, int] = {}
        keys = (each.ids.tobytes() if each.focus is not None else at for at, each in enumerate(examples))
        self.texts = np.array([texts.setdefault(key, len(texts)) for key in keys])
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def batch(self, index: int) -> ExampleBatch:
        """Batch number `index`, from 0: the same at every call."""
        epoch, place = divmod(index, self.batches_per_epoch)
        return collate([self.examples[number] for number in self._order(epoch)[place]])

    def _draw_order(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.default_rng([self.seed, epoch])
        if self.cuts is not None:
            batches = np.split(np.lexsort((generator.permutation(len(self.places)), self.places)), self.cuts)
            return [batches[place] for place in generator.permutation(len(batches))]
        place = np.argsort(generator.permutation(self.texts.max() + 1))
        order = np.argsort(place[self.texts], kind="stable")
        stretch = BUCKET * self.rows
        packed = self.examples[0].answers is not None
        for begin in range(0, 0 if packed else len(order), stretch):
            part = order[begin : begin + stretch]
            order[begin : begin + stretch] = part[np.argsort(self.lengths[part], kind="stable")]
        batches = [order[begin : begin + self.rows] for begin in range(0, len(order), self.rows)]
        return [batches[place] for place in generator.permutation(len(batches))]


def _cuts(places: Int[np.ndarray, " n"], tokens: int) -> list[int]:
    """Where to cut examples of ascending lengths into batches of at most so many tokens, padding counted, or of one example."""
    cuts, begin = [], 0
    for row, longest in enumerate(places.tolist()):
        if row > begin and (row + 1 - begin) * longest > tokens:
            cuts.append(row)
            begin = row
    return cuts


def in_order(examples: Sequence[Encoded], tokens: int) -> list[np.ndarray]:
    """The numbers of all examples in batches of about so many tokens, padding counted; rows of like length together."""
    lengths = np.array([example.length for example in examples])
    order = np.argsort(-lengths, kind="stable")
    batches, at = [], 0
    while at < len(order):
        rows = max(1, tokens // max(1, int(lengths[order[at]])))
        batches.append(order[at : at + rows])
        at += rows
    return batches
