"""Writing text with any language model: token by token, streamed, several continuations at once.

    inkstone generate RUN "prompt" --samples 3 --temperature 0.9

The prompt is read once (prefill), its state copied for every sample, and then each step reads one token a row.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from inkstone.errors import InkstoneError, nearest
from inkstone.hub.folder import load
from inkstone.inference.beam_search import beam_search
from inkstone.inference.constrained import Constraint, constrained, constraint_of
from inkstone.inference.continuation import Generated, Piece, Row, primed
from inkstone.inference.prefill import advance, prefill, prompt_ids
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.inference.single_token import for_generation
from inkstone.models.base import LanguageModel


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
        Row(sample, sampling, primed(tokenizer.stream(), first), None if form is None else form.copy())
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
        chosen = sampling.draw(sampling.warp(constrained(scores, forms) if forms else scores, read, len(first)), uniform)
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
        row = Row(0, sampling, primed(model.tokenizer.stream(), first))
        for number, log_probability in zip(hypothesis.ids, hypothesis.log_probabilities, strict=True):
            row.push(number, log_probability, {model.tokenizer.end}, len(hypothesis.ids))
        done.append(row.generated(time.perf_counter() - began))
    return done
