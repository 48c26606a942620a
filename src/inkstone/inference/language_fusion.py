"""A language model that listens in: what a text that is being found is worth as language (shallow fusion).

    worth(text) = α log p(text) + β · words(text)

Any language model of ours will do, with whatever tokens it has: it is asked about a word (of a script without blanks, a character) as
soon as the word is over, and its state after each beginning of a text is kept for all that go on from there. α says how much its
opinion counts, β makes up for the fact that each further word makes a text less likely. Source: Gulcehre et al. 2015, section 4.2;
Hannun et al. 2014.
"""

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.inference.prefill import context_of, device_of
from inkstone.models.base import LanguageModel

LINE_END = "\n"
MOST_KEPT = 50_000  # tokens that all states together have read: of a decoder, each of them has keys and values
LEAST_KEPT = 64  # beginnings, however long


@dataclass(frozen=True)
class Beginning:
    """What has been read: the log-probability of it, those of the token that comes next, and the model's state."""

    log_chance: float
    following: Float[Tensor, " v"]
    state: Any
    read: tuple[int, ...]


@dataclass(frozen=True)
class LanguageFusion:
    """A language model with its weights. Of texts that are `lines`, a line end stands before and after each, else a document's end."""

    model: LanguageModel
    alpha: float = 0.5
    beta: float = 0.0
    lines: bool = False
    most: int = MOST_KEPT
    known: dict[tuple[str, ...], Beginning] = field(default_factory=dict, compare=False, repr=False)

    def weighted(self, alpha: float, beta: float) -> "LanguageFusion":
        """The same model with other weights; what it was asked already is not asked again."""
        return replace(self, alpha=alpha, beta=beta)

    def worth(self, words: tuple[str, ...], ended: bool = False) -> float:
        """α log p + β · words of a text's words, each with the blank before it; `ended`: and that nothing comes after."""
        return self.alpha * self.log_chance(words, ended) + self.beta * len(words)

    def log_chance(self, words: tuple[str, ...], ended: bool = False) -> float:
        """log p in nats of these words at the beginning of a text, and with `ended` of its end."""
        after = self._after(words)
        return after.log_chance + (float(after.following[self._end]) if ended else 0.0)

    def forget(self) -> None:
        """Let go of what was kept of the texts so far."""
        self.known.clear()

    @cached_property
    def _end(self) -> int:
        tokenizer = self.model.tokenizer
        return tokenizer.encode(LINE_END)[0] if self.lines else tokenizer.end

    def _after(self, words: tuple[str, ...]) -> Beginning:
        read = len(words)
        while read and words[:read] not in self.known:
            read -= 1
        found = self.known.pop(words[:read], None) or self._first()
        self.known[words[:read]] = found  # the last one is what was asked about last
        for number in range(read, len(words)):
            found = self.known[words[: number + 1]] = self._read(found, words[number])
        self._forget_the_oldest()
        return found

    def _forget_the_oldest(self) -> None:
        """Of what was asked about long ago the state is let go of; where it is asked about again, it is made again."""
        held = sum(len(each.read) for each in self.known.values()) if len(self.known) % LEAST_KEPT == 0 else 0
        while held > self.most and len(self.known) > LEAST_KEPT:
            held -= len(self.known.pop(next(iter(self.known))).read)

    @torch.inference_mode()
    def _first(self) -> Beginning:
        tokenizer = self.model.tokenizer
        ids = list(tokenizer.begin) or [tokenizer.end]
        if self.lines:
            ids += tokenizer.encode(LINE_END)
        scores, state = self.model.step(self._row(ids), self.model.start(1), last=True)
        return Beginning(0.0, scores[0, -1].float().cpu(), state, tuple(ids))

    @torch.inference_mode()
    def _read(self, before: Beginning, word: str) -> Beginning:
        ids = self.model.tokenizer.encode(word)
        if not ids:
            return before
        context, read = context_of(self.model), (*before.read, *ids)
        if context is not None and len(read) > context:
            kept = list(before.read[-max(1, context // 2) :])
            _, state = self.model.step(self._row(kept), self.model.start(1), last=True)
            read = (*kept, *ids)
        else:
            state = copy.deepcopy(before.state)  # a model may write into the state that it goes on from
        scores, state = self.model.step(self._row(ids), state)
        own = scores[0].float().cpu()
        told = float(before.following[ids[0]]) + sum(float(own[at, token]) for at, token in enumerate(ids[1:]))
        return Beginning(before.log_chance + told, own[-1], state, read)

    def _row(self, ids: list[int]) -> Tensor:
        return torch.tensor([ids], device=device_of(self.model))
