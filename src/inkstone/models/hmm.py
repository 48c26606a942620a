"""The hidden Markov model as a language model: a hidden state moves by chance, and each state speaks tokens of its own.

    p(x₁ … xₙ) = Σ over z₁ … zₙ of  initial[z₁] · emission[x₁, z₁] · Πₜ transition[zₜ₋₁, zₜ] · emission[xₜ, zₜ]

What was read is remembered as a distribution over the states alone, the filtered one:

    α ∝ predicted ⊙ emission[xₜ],    predicted ← α transition,    p(next token) = emission · predicted

The states are learned from plain text by expectation maximisation (Baum and Welch): count the states in expectation under
the present model, divide, repeat; the likelihood never falls. In the stepwise form used here (Cappé and Moulines 2009, Liang
and Klein 2009) the counts are moved towards those of each batch, so that the first pass over the text already counts as many.
A document is a sequence of its own, its end token the last thing it says. Source: Rabiner 1989.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError, TextError
from inkstone.layers.forward_backward import forward_backward, pack
from inkstone.tokens.tokenizer import Tokenizer

PIECE = 128  # tokens; longer documents are learned from in pieces
BATCH = 1 << 15  # tokens of an expectation step
# Step i moves the counts by (i + 2)^−FORGETTING of the way, but by no less than the share of its batch.
FORGETTING = 0.7
PASSES, STEPS = 10, 60  # over the text, and of expectation and maximisation, at least, where no time is given


@dataclass(frozen=True)
class HMMSettings:
    """The shape of a hidden Markov model."""

    vocab_size: int
    states: int = 64
    pseudo_tokens: float = 30.0  # tokens that each state is taken to have spoken beforehand, as all text does

    def __post_init__(self) -> None:
        if self.vocab_size < 1 or self.states < 1:
            raise RecipeError(f"vocab_size = {self.vocab_size} and states = {self.states}, but each must be at least 1")
        if self.pseudo_tokens <= 0:
            raise RecipeError(f"pseudo_tokens = {self.pseudo_tokens}, but at 0 tokens not yet seen would be impossible")

    @classmethod
    def for_text(cls, vocab_size: int, tokens: int, **given) -> "HMMSettings":
        """Settings for a text of so many tokens: more states where there is more to learn them from."""
        states = next(n for fewest, n in ((1_000_000, 128), (100_000, 64), (0, 32)) if tokens >= fewest)
        return cls(**{"vocab_size": vocab_size, "states": states, **given})


@dataclass
class HMMState:
    """The distribution of the next hidden state, given all that was read."""

    length: int
    predicted: Float[Tensor, "b k"]

    def select(self, rows: Int[Tensor, " n"]) -> "HMMState":
        """The state with these rows in this order."""
        return HMMState(self.length, self.predicted[rows])

    def join(self, others: Sequence["HMMState"]) -> "HMMState":
        """These rows and those of others."""
        return HMMState(self.length, torch.cat([state.predicted for state in (self, *others)]))


@dataclass
class Counts:
    """Expected counts: how often a state opens a document or a piece, follows another, and speaks each token."""

    initial: Float[Tensor, " k"]
    middle: Float[Tensor, " k"]
    transition: Float[Tensor, "k k"]
    emission: Float[Tensor, "v k"]
    nats: float  # negative log-likelihood of what was counted, under the model that counted
    tokens: int

    def moved(self, other: "Counts", share: float) -> "Counts":
        """This, a share of the way to `other`, each taken for one token of text."""
        a, b = (1 - share) / self.tokens, share / other.tokens
        parts = {
            name: getattr(self, name).mul_(a).add_(getattr(other, name), alpha=b)
            for name in ("initial", "middle", "transition", "emission")
        }
        return Counts(**parts, nats=a * self.nats + b * other.nats, tokens=1)


class HMM(nn.Module):
    """A hidden Markov model over tokens, with its tokenizer."""

    family = "hmm"
    Settings = HMMSettings
    initial: Tensor  # (k,) of the first token of a document
    transition: Tensor  # (k, k) from the row's state
    emission: Tensor  # (v, k): each column sums to one

    def __init__(self, settings: HMMSettings, tokenizer: Tokenizer):
        super().__init__()
        self.settings = settings
        self.tokenizer = tokenizer
        v, k = settings.vocab_size, settings.states
        self.register_buffer("initial", torch.full((k,), 1 / k))
        self.register_buffer("transition", torch.full((k, k), 1 / k))
        self.register_buffer("emission", torch.full((v, k), 1 / v))
        self._middle = torch.full((k,), 1 / k)  # of a piece that begins inside a document; only learning needs it

    def n_parameters(self) -> int:
        """Numbers in the tables."""
        return sum(buffer.numel() for buffer in self.buffers())

    def initialise(self, generator: torch.Generator, frequency: Float[Tensor, " v"] | None = None) -> "HMM":
        """Fresh tables: each token leans towards a few states of its own, for equal states would stay equal for ever.

        frequency: relative frequency of each token in the text; by default all are alike.
        """
        v, k = self.emission.shape
        if frequency is None:
            frequency = torch.full((v,), 1 / v)
        leaning = torch.empty(v, k).exponential_(generator=generator).pow_(4)
        emission = frequency[:, None] * leaning / leaning.sum(1, keepdim=True)
        self.emission.copy_(emission / emission.sum(0))
        self.transition.copy_(_shares(1 + 0.1 * torch.rand(k, k, generator=generator)))
        self.initial.fill_(1 / k)
        self._middle.fill_(1 / k)
        return self

    def start(self, batch: int) -> HMMState:
        """Nothing read: a document is about to begin."""
        return HMMState(0, self.initial.expand(batch, -1))

    def step(
        self, ids: Int[Tensor, "b t"], state: HMMState, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], HMMState]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state.

        After the end token a new document begins, of which nothing is known.
        """
        predicted, passed = state.predicted, []
        emitted, ended = self.emission[ids], (ids == self.tokenizer.end)[:, :, None]  # (b, t, k), (b, t, 1)
        for at in range(ids.shape[1]):
            filtered = _shares(predicted * emitted[:, at])
            predicted = torch.where(ended[:, at], self.initial, filtered @ self.transition)
            passed.append(predicted)
        seen = predicted[:, None] if last else torch.stack(passed, dim=1)
        probabilities = _shares(seen @ self.emission.T)
        return probabilities.log_(), HMMState(state.length + ids.shape[1], predicted)

    def fit(
        self,
        documents: Iterable[np.ndarray],
        seconds: float | None,
        generator: torch.Generator,
        report: Callable[[str], None],
    ) -> None:
        """Learn the tables from documents of token ids, within `seconds`, or in `PASSES` over the text and `STEPS` where None.

        Raises TextError where there is no token to learn from.
        """
        begun = time.monotonic()
        pieces, opening = cut(documents, self.tokenizer.end)
        if not pieces:
            raise TextError("there is no text to learn from")
        v = self.settings.vocab_size
        spoken = np.bincount(np.concatenate(pieces), minlength=v)
        tokens = int(spoken.sum())
        frequency = torch.from_numpy((spoken + 0.5) / (tokens + 0.5 * v)).float()
        prior = self.settings.pseudo_tokens / tokens * frequency
        self.initialise(generator, frequency)
        batches = max(1, round(tokens / BATCH))
        counts, number = None, 0
        enough = max(PASSES * batches, STEPS)
        while number < enough if seconds is None else number == 0 or time.monotonic() - begun < 0.97 * seconds:
            if number % batches == 0:
                order = torch.randperm(len(pieces), generator=generator).numpy()
            part = order[number % batches :: batches]  # a share of the pieces, all of them in each pass
            found = self.expect([pieces[i] for i in part], opening[part])
            counts = found if counts is None else counts.moved(found, max((number + 2) ** -FORGETTING, 1 / batches))
            self.maximise(counts, prior)
            number += 1
            report(f"pass {number / batches:.1f}, {found.nats / found.tokens / np.log(2):.3f} bits per token")

    def expect(self, pieces: Sequence[np.ndarray], opening: np.ndarray) -> Counts:
        """Expected counts of the states in pieces of text; `opening` says which of them begin a document."""
        k = self.settings.states
        packing = pack([len(piece) for piece in pieces])
        ids = torch.empty(len(packing.place), dtype=torch.int64)
        ids[packing.place] = torch.from_numpy(np.concatenate(pieces).astype(np.int64))
        opens = torch.from_numpy(opening)[packing.order][:, None]
        emitted = self.emission[ids]
        highest = emitted.max(dim=1, keepdim=True).values
        found = forward_backward(
            torch.where(opens, self.initial, self._middle), self.transition, emitted / highest, torch.ones(k), packing
        )
        first = found.states[: packing.sentences]
        spoken = torch.bincount(ids, minlength=self.settings.vocab_size)
        return Counts(
            initial=(first * opens).sum(0),
            middle=(first * ~opens).sum(0),
            transition=found.moves,
            # Sums of the rows of each token: many times faster on a CPU than adding row by row.
            emission=F.embedding_bag(torch.argsort(ids), found.states, torch.cumsum(spoken, 0) - spoken, mode="sum"),
            nats=-float(found.log_weight.sum() + highest.double().log().sum()),
            tokens=len(ids),
        )

    def maximise(self, counts: Counts, prior: Float[Tensor, " v"] | None = None) -> None:
        """The tables of the highest likelihood for these counts. A state that was never in use keeps its tables.

        prior: tokens that each state is taken to have spoken beforehand, for each token of text.
        """
        emission = counts.emission if prior is None else counts.emission + prior[:, None] * counts.tokens
        spoken, left = emission.sum(0), counts.transition.sum(1, keepdim=True)
        self.emission.copy_(torch.where(spoken > 0, emission / spoken, self.emission))
        self.transition.copy_(torch.where(left > 0, counts.transition / left, self.transition))
        for table, begun in ((self.initial, counts.initial), (self._middle, counts.middle)):
            if begun.sum() > 0:
                table.copy_(begun / begun.sum())


def cut(documents: Iterable[np.ndarray], end: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pieces of at most `PIECE` tokens, each document with its end token, and which of the pieces open a document."""
    pieces, opening = [], []
    for document in documents:
        whole = np.append(document, np.asarray(end, dtype=document.dtype))
        for at in range(0, len(whole), PIECE):
            pieces.append(whole[at : at + PIECE])
            opening.append(at == 0)
    return pieces, np.array(opening, dtype=bool)


def _shares(table: Float[Tensor, "*rows k"]) -> Float[Tensor, "*rows k"]:
    return table / table.sum(-1, keepdim=True)
