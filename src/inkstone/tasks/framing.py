"""How a text, or a pair, stands before a model: the special tokens around it, as its tokenizer was trained with them.

What `tokenizer.json` says is read once from two small encodings: [CLS] a [SEP] b [SEP] of BERT, <s> a </s></s> b </s> of
RoBERTa, the end token before each text of ours, nothing at all of GPT-2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inkstone.errors import RecipeError
from inkstone.tokens.tokenizer import Tokenizer

OVERLAP = 0.25  # of a window: tokens of the one before


@dataclass(frozen=True)
class Frame:
    """The tokens around texts, the segments of the two, and the longest input in tokens."""

    tokenizer: Tokenizer
    context: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    pair_before: tuple[int, ...]
    pair_between: tuple[int, ...]
    pair_after: tuple[int, ...]
    second_type: int  # of the second text's tokens; the first are of type 0
    split: bool = False  # whether a text that does not fit is read in windows, by tasks that join what is said of them
    reads_focus: bool = False  # whether the model that reads them knows `Encoded.focus`

    @classmethod
    def of(cls, tokenizer: Tokenizer, context: int, *, reads_focus: bool = False) -> "Frame":
        """What this tokenizer puts around texts. Raises RecipeError where that leaves no room for one."""
        single = tokenizer.backend.encode("a")
        double = tokenizer.backend.encode("a", "a")
        before, after = _around(single.ids, single.special_tokens_mask)
        pair_before, rest = _around(double.ids, double.special_tokens_mask)
        mask = double.special_tokens_mask
        inside = range(len(pair_before), len(mask) - len(rest))
        between = tuple(double.ids[at] for at in inside if mask[at])
        second = double.type_ids[len(mask) - len(rest) - 1]
        frame = cls(tokenizer, context, before, after, pair_before, between, rest, second, reads_focus=reads_focus)
        if context - max(len(before) + len(after), len(pair_before) + len(between) + len(rest)) < 4:
            raise RecipeError(f"a context of {context} tokens leaves no room for a text; set a larger model.context")
        return frame

    @property
    def room(self) -> int:
        """Tokens of a single text that fit."""
        return self.context - len(self.before) - len(self.after)

    @property
    def pair_room(self) -> int:
        """Tokens of two texts that fit."""
        return self.context - len(self.pair_before) - len(self.pair_between) - len(self.pair_after)

    def cuts(self, first: Sequence[int] | np.ndarray, second: Sequence[int] | np.ndarray | None = None) -> bool:
        """Whether `single` leaves something of a text out, or `pair` of two."""
        return len(first) > self.room if second is None else len(first) + len(second) > self.pair_room

    def single(self, ids: Sequence[int] | np.ndarray) -> tuple[np.ndarray, None]:
        """The input of one text, cut at its end where it is too long; never empty."""
        row = np.concatenate([self.before, np.asarray(ids)[: self.room], self.after]).astype(np.int64)
        return (row if len(row) else np.array([self.tokenizer.end])), None

    def windows(self, ids: Sequence[int] | np.ndarray) -> list[tuple[np.ndarray, int]]:
        """The inputs of one text that may not fit, each with the number of its tokens that no input before has.

        Each but the first begins with tokens of the one before, `OVERLAP` of what fits, so that what stands at a border is
        read with what is around it.
        """
        ids = np.asarray(ids)
        overlap = int(OVERLAP * self.room)
        found, read = [(self.single(ids)[0], min(len(ids), self.room))], self.room
        while read < len(ids):
            window = ids[read - overlap : read - overlap + self.room]
            found.append((self.single(window)[0], len(window) - overlap))
            read += len(window) - overlap
        return found

    def pair(
        self, first: Sequence[int] | np.ndarray, second: Sequence[int] | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The input of two texts, the longer one cut until both fit, and the segment of each token."""
        first, second = np.asarray(first), np.asarray(second)
        room = self.pair_room
        kept = max(room - len(second), min(len(first), room // 2))
        first = first[:kept]
        second = second[: room - len(first)]
        parts = [self.pair_before, first, self.pair_between, second, self.pair_after]
        ids = np.concatenate(parts).astype(np.int64)
        # The tokens between belong to the first text, as [SEP] does in BERT, but for what opens the second one.
        head = len(self.pair_before) + len(first) + len(self.pair_between)
        types = np.where(np.arange(len(ids)) < head, 0, self.second_type)
        return ids, types


def _around(ids: Sequence[int], special: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    first = next(at for at, mark in enumerate(special) if not mark)
    last = len(special) - next(at for at, mark in enumerate(reversed(special)) if not mark)
    return tuple(ids[:first]), tuple(ids[last:])
