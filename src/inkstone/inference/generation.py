"""Writing text with any language model: token by token, streamed, several continuations at once.

    inkstone generate RUN "prompt" --samples 3 --temperature 0.9

The prompt is read once (prefill), its state copied for every sample, and then each step reads one token a row.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from inkstone.errors import InkstoneError, nearest
from inkstone.hub.folder import load
from inkstone.inference.beam_search import beam_search
from inkstone.inference.constrained import Constraint, Followed, constrained, constraint_of
from inkstone.inference.prefill import advance, prefill, prompt_ids
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.inference.single_token import for_generation
from inkstone.inference.stop_strings import StopStrings
from inkstone.models.base import LanguageModel
from inkstone.tokens.streaming import TextStream

FinishReason = Literal["end", "stop", "length"]  # the end token, a stop string, the number of tokens allowed


@dataclass(frozen=True)
class Generated:
    """One continuation. `text` is without the prompt and the stop string; `ids` are all tokens that were drawn."""

    text: str
    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]  # of each token in nats under the model itself, before any filter
    finish_reason: FinishReason
    seconds: float  # from the call, reading the prompt included

    @property
    def log_probability(self) -> float:
        """Of the whole continuation in nats."""
        return sum(self.log_probabilities)

    @property
    def tokens_per_second(self) -> float:
        """Of this continuation alone; several that are written together add up."""
        return len(self.ids) / self.seconds


@dataclass(frozen=True)
class Piece:
    """Text that has become certain in one of the samples; with the last piece of a sample comes its whole."""

    sample: int
    text: str
    generated: Generated | None = None


def generate(
    run: LanguageModel | Path | str,
    prompt: str = "",
    *,
    samples: int = 1,
    beams: int = 1,
    length_penalty: float = 0.6,
    no_repeat_ngram: int = 0,
    device: str = "auto",
    json_schema: Mapping[str, Any] | str | Path | None = None,
    regex: str | None = None,
    choices: Sequence[str] | None = None,
    **settings,
) -> list[Generated]:
    """Continue a prompt with a model, or with the one in a run folder.

    `settings` are those of `Sampling`. With `beams` above 1 nothing is drawn: beam search, to which `length_penalty`
    and `no_repeat_ngram` belong, finds likely continuations, and the best `samples` are returned, the best first.

    With `json_schema` (as it is, or a file), `regex` or `choices` the continuation keeps to that form
    (`inference/constrained.py`); one that is cut off when its tokens are used up says so: `finish_reason` is "length".

    >>> inkstone.generate("runs/mine", "It was", temperature=0.7, max_tokens=50)[0].text  # doctest: +SKIP

    Raises SamplingError for a setting that cannot hold, ConstraintError for a form that cannot be kept to, RunError for a
    folder that is no model.
    """
    sampling = sampling_from(settings)
    constraint = constraint_of(json_schema, regex, choices)
    if beams != 1 and (drawing := sorted(settings.keys() - {"max_tokens", "max_length"})):
        raise SamplingError(f"beam search draws nothing: leave out {', '.join(drawing)}, or beams")
    model = load(run, device=device) if isinstance(run, str | Path) else run
    if beams != 1:
        search = {"alpha": length_penalty, "no_repeat_ngram": no_repeat_ngram, "constraint": constraint}
        return _by_beam_search(model, prompt, sampling, samples, beams, **search)
    done = [piece for piece in stream(model, prompt, sampling, samples, constraint=constraint) if piece.generated]
    return [piece.generated for piece in sorted(done, key=lambda piece: piece.sample) if piece.generated]


def sampling_from(settings: dict) -> Sampling:
    """`Sampling` with these settings; an unknown name is refused with the nearest valid one."""
    known = [field.name for field in fields(Sampling)]
    for name in settings:
        if name not in known:
            raise SamplingError(f"there is no setting {name!r} of generation; {nearest(name, known)}")
    if stop := settings.get("stop"):
        settings = {**settings, "stop": (stop,) if isinstance(stop, str) else tuple(stop)}
    return Sampling(**settings)


def token_budget(sampling: Sampling, prompt_length: int) -> int:
    """New tokens that `max_tokens` and `max_length` allow after a prompt of so many tokens."""
    if sampling.max_length is None:
        return sampling.max_tokens
    if prompt_length >= sampling.max_length:
        raise SamplingError(
            f"max_length = {sampling.max_length}, but the prompt alone has {prompt_length} tokens (the end token "
            "before it included); allow more, or use max_tokens, which counts new tokens only"
        )
    return min(sampling.max_tokens, sampling.max_length - prompt_length)


class Row:
    """One continuation on its way: its tokens, its own source of randomness, its text as it becomes certain."""

    def __init__(self, sample: int, sampling: Sampling, text: TextStream, form: Followed | None = None):
        self.sample = sample
        self.form = form
        # Seeded with its number as well, so that a sample is the same however many are drawn beside it.
        self.random = np.random.default_rng([sampling.seed, sample])
        self.text = text
        self.gate = StopStrings(sampling.stop)
        self.given: list[str] = []
        self.ids: list[int] = []
        self.log_probabilities: list[float] = []
        self.reason: FinishReason | None = None  # why it is over

    def push(self, number: int, log_probability: float, ends: Collection[int], budget: int) -> str:
        """Take one more token and give the text that is certain with it."""
        self.ids.append(number)
        if self.form is not None:
            self.form.take(number)
        self.log_probabilities.append(log_probability)
        if number in ends:
            self.reason = "end"
            new = self.gate.push(self.text.finish()) + self.gate.finish()
        else:
            new = self.gate.push(self.text.push(number))
            if self.gate.found:
                self.reason = "stop"
            elif len(self.ids) == budget:
                # A character cut off by the budget is no fault of the model's and is left out.
                self.reason = "length"
                new += self.gate.finish()
        self.given.append(new)
        return new

    def generated(self, seconds: float) -> Generated | None:
        """The whole continuation, once it is over."""
        if self.reason is None:
            return None
        return Generated("".join(self.given), tuple(self.ids), tuple(self.log_probabilities), self.reason, seconds)


@torch.inference_mode()
def stream(
    model: LanguageModel,
    prompt: str | Sequence[int],
    sampling: Sampling,
    samples: int = 1,
    ends: Collection[int] | None = None,
    constraint: Constraint | None = None,
) -> Iterator[Piece]:
    """Continue a prompt, giving text out as soon as its characters are whole and no stop string can begin in it.

    A sample ends at a token of `ends` (without it: the tokenizer's end token), at a stop string, or when its tokens
    are used up. The same seed gives the same samples, whatever their number, up to rounding in the model.
    A text longer than the model's context goes on from its last half. With a `constraint` each sample has its form.
    """
    began = time.perf_counter()
    if samples < 1:
        raise SamplingError(f"samples = {samples}, but must be at least 1")
    tokenizer = model.tokenizer
    ends = {tokenizer.end} if ends is None else ends
    first = prompt_ids(model, prompt)
    budget = token_budget(sampling, len(first))
    form = None if constraint is None else constraint.begin(tokenizer, ends)
    rows = [
        Row(sample, sampling, _primed(tokenizer.stream(), first), None if form is None else form.copy())
        for sample in range(samples)
    ]
    read = torch.tensor([first]).expand(samples, -1)
    model = for_generation(model, samples)
    scores, state = prefill(model, read[:1])
    scores, state = scores.expand(samples, -1), state.select(torch.zeros(samples, dtype=torch.long))
    while True:
        if not bool(scores.amax(-1).isfinite().all()):
            raise InkstoneError("the model's probabilities are not numbers; its weights are damaged")
        uniform = torch.tensor([row.random.random() for row in rows], dtype=torch.float64)
        forms = [row.form for row in rows if row.form is not None]
        chosen = sampling.draw(sampling.warp(constrained(scores, forms) if forms else scores, read), uniform)
        gained = scores.gather(1, chosen[:, None])[:, 0].tolist()
        for row, number, log_probability in zip(rows, chosen.tolist(), gained, strict=True):
            text = row.push(number, log_probability, ends, budget)
            if text or row.reason:
                yield Piece(row.sample, text, row.generated(time.perf_counter() - began))
        going = [place for place, row in enumerate(rows) if row.reason is None]
        if not going:
            return
        read = torch.cat((read, chosen[:, None]), dim=1)
        if len(going) < len(rows):
            kept = torch.tensor(going)
            rows, read, state = [rows[place] for place in going], read[kept], state.select(kept)
        scores, state = advance(model, read, state)


def _by_beam_search(
    model: LanguageModel, prompt: str, sampling: Sampling, samples: int, beams: int, **search
) -> list[Generated]:
    began = time.perf_counter()
    if samples > beams:
        raise SamplingError(f"samples = {samples}, but beam search with beams = {beams} has at most as many")
    first = prompt_ids(model, prompt)
    found = beam_search(model, first, beams, token_budget(sampling, len(first)), **search)
    done = []
    for hypothesis in found[:samples]:
        row = Row(0, sampling, _primed(model.tokenizer.stream(), first))
        for number, log_probability in zip(hypothesis.ids, hypothesis.log_probabilities, strict=True):
            row.push(number, log_probability, {model.tokenizer.end}, len(hypothesis.ids))
        done.append(row.generated(time.perf_counter() - began))
    return done


def _primed(text: TextStream, prompt: Sequence[int]) -> TextStream:
    """The stream after the prompt: what a token spells may depend on the few before it."""
    for number in prompt[-16:]:
        text.push(number)
    text.finish()
    return text
