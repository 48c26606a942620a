"""Speculative decoding: a cheap draft guesses several tokens, the model checks them in one step (Leviathan et al. 2023,
"Fast Inference from Transformers via Speculative Decoding"; Chen et al. 2023, "Accelerating Large Language Model Decoding with
Speculative Sampling").

    inkstone generate RUN "prompt" --draft lookup

A step that reads one token costs nearly what one costs that reads five, since both read all weights once. So where guesses are
often right, several tokens come out of a step; and the text is distributed as without a draft: each token is drawn from p, the
model's distribution after all of `Sampling`'s filters, and a guess stands if it is what was drawn. When all guesses stand, one
more token is drawn. What was looked up in the text is checked with the random numbers of plain writing: so with look-up, and with
any draft at temperature 0, the text is the very text of the same seed without a draft.

A draft that draws from a distribution q of its own is to draw what the model will. So both take the Gumbel noise of the place,
g, one number for each token of the vocabulary, from the seed alone (Daliri, Musco & Suresh 2025, "Coupling without Communication
and Drafter-Invariant Speculative Decoding"):

    token = argmax(log p + g),  which is distributed as p;    guess = argmax(log q + g)

They are the same with probability  Σᵢ 1 / Σⱼ max(pⱼ/pᵢ, qⱼ/qᵢ),  at least (1 − d) / (1 + d) where p and q are d apart in total
variation. A rule of acceptance that draws anew where a guess falls reaches 1 − d, but what it writes depends on what was guessed, and
so on the clock, by which it is decided whether to guess. Here the text of a seed is the same whatever is guessed, and how much.

Of several texts each goes its own way. The model has read of all the same number of tokens; one that is ahead has tokens
decided that are still to be read, and these stand before its next guesses.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import InkstoneError
from inkstone.inference.constrained import constrained
from inkstone.inference.continuation import Piece, Row, Speculated
from inkstone.inference.draft_pace import Pace
from inkstone.inference.drafts import Draft, LookUp, check_place, draft_of
from inkstone.inference.prefill import advance, device_of, prefill, room_in
from inkstone.inference.rollback import read_on_trial
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.inference.window import Window
from inkstone.models.base import LanguageModel

DRAFT_TOKENS = 4
MOST_DRAFT_TOKENS = 64


@dataclass(frozen=True)
class Speculation:
    """How to guess. With `always` guesses go on even where they cost time."""

    draft: Draft
    tokens: int = DRAFT_TOKENS  # guessed at once, at most
    always: bool = False

    def __post_init__(self):
        """Refuse a number of tokens that means nothing."""
        if not 1 <= self.tokens <= MOST_DRAFT_TOKENS:
            raise SamplingError(f"draft_tokens = {self.tokens}, but must be from 1 to {MOST_DRAFT_TOKENS}")


def speculation_of(
    draft: str | Path | LanguageModel | Draft | None, tokens: int, model: LanguageModel, run: Path | str | None
) -> Speculation | None:
    """What `draft` means to a model, and the folder that it is from. Raises RunError as `draft_of`, SamplingError."""
    if draft is None:
        return None
    checked = Speculation(LookUp(), tokens)
    return replace(checked, draft=draft_of(draft, model, run))


def check_draft(draft: str | Path, tokens: int, run: Path | str) -> None:
    """Refuse before any model is opened what `speculation_of` could only refuse then. Raises RunError, SamplingError."""
    Speculation(LookUp(), tokens)
    check_place(draft, run)


class Text:
    """One text on its way: all its ids, its drafter, and what came of the guesses."""

    def __init__(self, row: Row, first: Sequence[int], draft: Draft, sampling: Sampling, vocabulary: int):
        self.row, self.drafter, self.prompt = row, draft.begin(len(first)), len(first)
        self.ids = list(first)
        self.by_noise = draft.draws and sampling.temperature > 0
        self.seed, self.vocabulary = sampling.seed, vocabulary
        self.noises: dict[int, Tensor] = {}  # of places that are not decided yet
        self.ahead: list[float] = []  # numbers of the row's own randomness that were looked at and not used
        self.drafted = self.accepted = self.last_accepted = 0

    def noise(self, place: int) -> Float[Tensor, " v"]:
        """The Gumbel noise of a place, from the seed alone."""
        if place not in self.noises:
            # Apart from the row's own random numbers, which a draft must not disturb.
            random = np.random.default_rng([self.seed, self.row.sample, 1, place])
            self.noises[place] = torch.from_numpy(random.gumbel(size=self.vocabulary))
        return self.noises[place]

    def guess(self, most: int, sampling: Sampling, ends: Collection[int]) -> list[int]:
        """What may come next; nothing after an end, and nothing that the form of the text does not allow."""
        if most < 1:
            return []
        guess = self.drafter.propose(self.ids, most, sampling, self.noise)
        ended = next((place for place, number in enumerate(guess) if number in ends), len(guess))
        guess = guess[: ended + 1]
        if self.row.form is not None:
            form, fits = self.row.form.copy(), 0
            while fits < len(guess) and form.allowed()[guess[fits]]:
                form.take(guess[fits])
                fits += 1
            guess = guess[:fits]
        return guess

    def decide(
        self, guess: list[int], scores: Float[Tensor, "n v"], sampling: Sampling, ends: Collection[int], budget: int
    ) -> str:
        """Take tokens by what the model says after the text and after each guess; the text that is certain with them."""
        if not bool(scores.amax(-1).isfinite().all()):
            raise InkstoneError("the model's probabilities are not numbers; its weights are damaged")
        p = self._warped(guess, scores, sampling, ends)
        chosen = self._chosen(guess, p, sampling)
        gained = scores[: len(chosen)].gather(1, torch.tensor(chosen)[:, None])[:, 0].tolist()
        new, accepted = "", 0
        for place, (number, log_probability) in enumerate(zip(chosen, gained, strict=True)):
            new += self.row.push(number, log_probability, ends, budget)
            self.ids.append(number)
            accepted += place < len(guess) and number == guess[place]
            if self.row.reason is not None:
                break
        new += self.row.jump(ends, budget, self._uniform)
        self.ids += self.row.ids[len(self.ids) - self.prompt :]
        self.noises = {place: noise for place, noise in self.noises.items() if place >= len(self.ids)}
        self.drafted += len(guess)
        self.accepted += accepted
        self.last_accepted = accepted
        return new

    def _warped(
        self, guess: list[int], scores: Float[Tensor, "n v"], sampling: Sampling, ends: Collection[int]
    ) -> Float[Tensor, "n v"]:
        if self.row.form is not None:
            forms = [self.row.form.copy()]
            for number in guess[: len(scores) - 1]:
                if number in ends or not forms[-1].allowed()[number]:
                    break  # nothing after it is asked for
                forms.append(forms[-1].then(number))
            scores = torch.cat((constrained(scores[: len(forms)], forms), scores[len(forms) :]))
        if not sampling.looks_back:
            return sampling.warp(scores, torch.zeros(len(scores), 0, dtype=torch.long))
        text, read = torch.tensor([[*self.ids, *guess]]), len(self.ids)
        each = [sampling.warp(own, text[:, : read + at], self.prompt) for at, own in enumerate(scores.split(1))]
        return torch.cat(each)

    def _chosen(self, guess: list[int], p: Float[Tensor, "n v"], sampling: Sampling) -> list[int]:
        """Tokens drawn from p, as far as the guesses are the same, and the one that is not."""
        if self.by_noise:
            noise = torch.stack([self.noise(len(self.ids) + place) for place in range(len(p))])
            drawn = (p + noise).argmax(-1).tolist()
        else:
            while len(self.ahead) < len(p):
                self.ahead.append(self.row.random.random())
            drawn = sampling.draw(p, torch.tensor(self.ahead[: len(p)], dtype=torch.float64)).tolist()
        same = 0
        while same < len(guess) and same < len(drawn) - 1 and drawn[same] == guess[same]:
            same += 1
        del self.ahead[: same + 1]
        return drawn[: same + 1]

    def _uniform(self) -> float:
        return self.ahead.pop(0) if self.ahead else self.row.random.random()


def write(
    model: LanguageModel,
    first: Sequence[int],
    rows: Sequence[Row],
    sampling: Sampling,
    ends: Collection[int],
    budget: int,
    speculation: Speculation,
    window: Window | None = None,
) -> Iterator[Piece]:
    """Continue a prompt in each of `rows`, as `generation.stream` does, with the help of a draft."""
    began = perf_counter()
    pace = Pace(speculation.tokens, speculation.always)
    device, vocabulary = device_of(model), model.tokenizer.vocab_size
    texts = [Text(row, first, speculation.draft, sampling, vocabulary) for row in rows]
    scores, state = prefill(model, torch.tensor([first]), window)
    state = state.select(torch.zeros(len(rows), dtype=torch.long))
    read = len(first)  # tokens of each text that the state has read, or has left behind
    news = [text.decide([], scores, sampling, ends, budget) for text in texts]
    while True:
        for text, new in zip(texts, news, strict=True):
            if new or text.row.reason is not None:
                facts = Speculated(text.drafted, text.accepted, pace.speed_up)
                yield Piece(text.row.sample, new, text.row.generated(perf_counter() - began, facts))
        going = [place for place, text in enumerate(texts) if text.row.reason is None]
        if not going:
            return
        if len(going) < len(texts):
            state, texts = state.select(torch.tensor(going)), [texts[place] for place in going]

        took, before = perf_counter(), sum(len(text.ids) for text in texts)
        ahead = [len(text.ids) - read for text in texts]  # tokens that are decided and not read: one at least
        room = room_in(model, state, window)
        guesses: list[list[int]] = [[] for _ in texts]
        if room == 0:
            width = 1
            seen = torch.tensor([text.ids[max(0, read + 1 - (state.length + 1)) : read + 1] for text in texts])
            scores, state = advance(model, seen, state, window)
            scores, back = scores[:, None], None
        else:
            most = pace.most() + 1 if room is None else min(pace.most() + 1, room)
            for place, (text, decided) in enumerate(zip(texts, ahead, strict=True)):
                left = budget - len(text.row.ids) - 1
                guesses[place] = text.guess(min(most - decided, left), sampling, ends)
            guessed = [decided + len(guess) for decided, guess in zip(ahead, guesses, strict=True) if guess]
            width = max(guessed) if guessed else min(ahead if room is None else [room, *ahead])
            fed = torch.tensor(
                [_of_width(text.ids[read:] + guess, width) for text, guess in zip(texts, guesses, strict=True)]
            )
            scores, back = read_on_trial(model, fed.to(device), state)
            scores = scores[..., :vocabulary].cpu()
        news, stands = [], width  # tokens that were read and are in the text, of each
        for place, (text, guess, decided) in enumerate(zip(texts, guesses, ahead, strict=True)):
            own = scores[place, decided - 1 : decided + len(guess)]
            news.append(text.decide(guess, own, sampling, ends, budget) if len(own) else "")
            stands = min(stands, decided + (text.last_accepted if guess else 0))
        state = state if back is None else back(stands)
        read += stands
        grown = sum(len(text.ids) for text in texts) - before
        longest = max((text.last_accepted for text, guess in zip(texts, guesses, strict=True) if guess), default=None)
        pace.took(perf_counter() - took, grown / len(texts), longest, width)


def _of_width(ids: list[int], width: int) -> list[int]:
    """Cut, or filled with what is read in vain."""
    return ids[:width] + ids[-1:] * (width - len(ids))
