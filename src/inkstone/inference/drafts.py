"""Guesses at how a text goes on, which are cheap, and which the model then checks all at once (`speculative.py`).

- `LookUp`: the last tokens stood in the text before; what followed them there may follow again (Saxena 2023, prompt look-up).
  It costs nothing, and fits texts that repeat what was given: code that is changed, summaries, answers that quote.
- `ModelDraft`: another language model with the same tokenizer: a smaller run, or an n-gram. `counted` makes an n-gram of the
  text that a run was trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import RunError
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load, read_config
from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.prefill import context_of, device_of, prefill
from inkstone.inference.sampling import Sampling
from inkstone.models.base import LanguageModel
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer

LONGEST_MATCH = 4  # tokens that must have stood before: first so many are tried, then fewer
SHORTEST_MATCH = 2
COUNTED_TOKENS = 5_000_000  # of the training text at most: a few seconds' counting
COUNTED_ORDER = 4


# The Gumbel noise of each token of the vocabulary, at a place of the text. Above temperature 0 the model draws by it as well.
Noise = Callable[[int], Float[Tensor, " v"]]


class Drafter(Protocol):
    """What guesses for one text, which only grows."""

    def propose(self, text: Sequence[int], most: int, sampling: Sampling, noise: Noise) -> list[int]:
        """At most `most` tokens that may follow. `text`: all ids so far."""
        ...


@runtime_checkable
class Draft(Protocol):
    """A way of guessing, which begins anew with each text."""

    draws: ClassVar[bool]  # whether its guesses are drawn, by the noise

    def begin(self, prompt: int = 0) -> Drafter:
        """The drafter of one text that goes on from a prompt of so many tokens."""
        ...


@dataclass(frozen=True)
class LookUp:
    """What followed the same tokens when they last stood in the text."""

    longest: int = LONGEST_MATCH
    shortest: int = SHORTEST_MATCH
    draws: ClassVar[bool] = False

    def begin(self, prompt: int = 0) -> "LookUpDrafter":
        """The drafter of one text."""
        return LookUpDrafter(self.longest, self.shortest)


class LookUpDrafter:
    """Where each few tokens stood last, as far as the text was read."""

    def __init__(self, longest: int, shortest: int):
        self.sizes = range(longest, shortest - 1, -1)
        self.after: dict[tuple[int, ...], int] = {}  # tokens → the place after them
        self.read = 0

    def propose(self, text: Sequence[int], most: int, sampling: Sampling, noise: Noise) -> list[int]:
        """What followed the longest match; nothing where there is none."""
        # The last tokens themselves are not entered yet, or they would be found at their own place.
        for end in range(max(1, self.read), len(text)):
            for size in self.sizes:
                if size <= end:
                    self.after[tuple(text[end - size : end])] = end
        self.read = len(text)
        for size in self.sizes:
            if size <= len(text) and (place := self.after.get(tuple(text[len(text) - size :]))) is not None:
                return list(text[place : place + most])
        return []


class ModelDraft:
    """What another model would write. Its tokens must be those of the model that checks it."""

    draws: ClassVar[bool] = True

    def __init__(self, model: LanguageModel):
        self.model = for_generation(model, 1)

    def begin(self, prompt: int = 0) -> "ModelDrafter":
        """The drafter of one text."""
        return ModelDrafter(self.model, prompt)


class ModelDrafter:
    """The draft's state after the text, from which each guess sets out."""

    def __init__(self, model: LanguageModel, prompt: int):
        self.model, self.prompt = model, prompt
        self.context, self.device = context_of(model), device_of(model)
        self.state: Any = None
        self.scores = torch.empty(0)  # log-probabilities after what was read
        self.read = 0

    def propose(self, text: Sequence[int], most: int, sampling: Sampling, noise: Noise) -> list[int]:
        """Tokens that are drawn as `sampling` says, or the likeliest at temperature 0; fewer where its context is short."""
        most = most if self.context is None else min(most, max(1, self.context // 4))
        scores = self._read(text, most)
        written = torch.tensor([list(text)]) if sampling.looks_back else torch.zeros(1, 0, dtype=torch.long)
        cuttable, length = hasattr(self.state, "truncate"), self.state.length
        state = self.state if cuttable or most == 1 else self.state.select(torch.zeros(1, dtype=torch.long))
        ids: list[int] = []
        while True:
            warped = sampling.warp(scores, written, self.prompt)
            chosen = (warped if sampling.temperature == 0 else warped + noise(len(text) + len(ids))).argmax(-1)
            ids.append(int(chosen))
            if len(ids) == most:
                break
            written = torch.cat((written, chosen[:, None]), dim=1)
            scores, state = self.model.step(chosen[:, None].to(self.device), state, last=True)
            scores = self._of_tokens(scores)
        if cuttable:
            self.state.truncate(length)
        return ids

    def _read(self, text: Sequence[int], most: int) -> Float[Tensor, "1 v"]:
        """Log-probabilities after the text, with room in the state for `most` tokens more."""
        new = list(islice(text, self.read, None))
        if self.state is None or (self.context is not None and self.state.length + len(new) + most > self.context):
            fits = self.context is None or len(text) + most <= self.context
            last = len(text) if fits else max(1, (self.context or 0) // 2)
            self.scores, self.state = prefill(self.model, torch.tensor([list(text)[-last:]]))
        elif new:  # none where a text waits for others that are read beside it
            scores, self.state = self.model.step(torch.tensor([new], device=self.device), self.state, last=True)
            self.scores = self._of_tokens(scores)
        self.read = len(text)
        return self.scores

    def _of_tokens(self, scores: Float[Tensor, "1 n v"]) -> Float[Tensor, "1 v"]:
        return scores[:, -1, : self.model.tokenizer.vocab_size].cpu()


def draft_of(draft: str | Path | LanguageModel | Draft, model: LanguageModel, run: Path | str | None) -> Draft:
    """The draft that is meant: "lookup", "ngram" (counted from the shards of `run`), a run or checkpoint, a model, a `Draft`.

    Raises RunError for a run without its training text, and for a model with other tokens.
    """
    if isinstance(draft, Draft):
        return draft
    if draft == "lookup":
        return LookUp()
    if draft == "ngram":
        if run is None:
            raise RunError("draft = 'ngram' counts the training text of a run: name the run folder, not a model")
        return ModelDraft(counted(local_folder(run), model.tokenizer))
    other = load(_folder(draft), device=str(device_of(model))) if isinstance(draft, str | Path) else draft
    if not hasattr(other, "step"):
        raise RunError("the draft was tuned for a task and does not go on with a text; name a language model")
    if not same_tokens(other.tokenizer, model.tokenizer):
        raise RunError(
            "the draft has other tokens than the model, which so cannot check them; train one with the same tokenizer: "
            "inkstone train TEXT --set tokenizer.path=RUN"
        )
    return ModelDraft(other)


def check_place(draft: str | Path, run: Path | str) -> None:
    """Refuse before any model is opened what `draft_of` could only refuse then. Raises RunError."""
    if draft == "ngram":
        training_text(local_folder(run))
    elif draft != "lookup":
        read_config(_folder(draft))


def _folder(draft: str | Path) -> Path:
    try:
        return local_folder(draft)
    except RunError as error:
        raise RunError(f"the draft {error}; a draft is lookup, ngram or a run") from None


def same_tokens(one: Tokenizer, other: Tokenizer) -> bool:
    """Whether the ids of both mean the same."""
    return one is other or one.fingerprint == other.fingerprint


def training_text(run: Path) -> Path:
    """Where the tokens are that a run was trained on. Raises RunError where it has not kept them."""
    from inkstone.run import Run  # with it comes the recipe, for which those who only write need not wait

    folder = Run(run).train_shards
    if not folder.is_dir():
        raise RunError(
            f"{run} holds no training text (shards/train), so that no n-gram can be counted; draft by lookup"
        )
    return folder


def counted(run: Path, tokenizer: Tokenizer, most: int = COUNTED_TOKENS, order: int = COUNTED_ORDER) -> NGram:
    """An n-gram of the first `most` tokens that a run was trained on. Raises RunError where the run has not kept them."""
    shards = TokenShards(training_text(run), verify=False)
    documents: list[np.ndarray] = []
    tokens = 0
    for document in shards.documents():
        documents.append(np.asarray(document[: most - tokens]))
        tokens += len(documents[-1])
        if tokens >= most:
            break
    model = NGram(NGramSettings.for_text(tokenizer.vocab_size, tokens, order=order), tokenizer)
    model.fit(documents)
    return model
