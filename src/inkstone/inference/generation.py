"""Writing text with any language model: token by token, streamed, several continuations at once.

    inkstone generate RUN "prompt" --samples 3 --temperature 0.9

The prompt is read once (prefill), its state copied for every sample, and then each step reads one token a row, or as many as the
form of its text forces.
"""

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from inkstone.errors import InkstoneError, nearest
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.inference import speculative
from inkstone.inference.beam_search import beam_search
from inkstone.inference.constrained import Constraint, constrained, constraint_of
from inkstone.inference.continuation import Generated, Piece, Row, primed
from inkstone.inference.drafts import Draft
from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.prefill import advance, context_of, prefill, prompt_ids, room_in
from inkstone.inference.quantisation import in_precision
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.inference.speculative import DRAFT_TOKENS, Speculation, speculation_of
from inkstone.inference.window import Window, window_of
from inkstone.models.base import LanguageModel
from inkstone.models.longer_context import stretched_to
from inkstone.tokens.chat_template import ends_in


def generate(
    run: LanguageModel | Path | str,
    prompt: str = "",
    *,
    samples: int = 1,
    beams: int = 1,
    length_penalty: float = 0.6,
    no_repeat_ngram: int = 0,
    device: str = "auto",
    precision: str = "auto",
    compiled: bool | None = None,
    json_schema: Mapping[str, Any] | str | Path | None = None,
    regex: str | None = None,
    choices: Sequence[str] | None = None,
    ends: Collection[int] | None = None,
    draft: str | Path | LanguageModel | Draft | None = None,
    draft_tokens: int = DRAFT_TOKENS,
    endless: bool = False,
    window: int | None = None,
    sinks: int | None = None,
    context: int | None = None,
    rope_scaling: str | None = None,
    **settings,
) -> list[Generated]:
    """Continue a prompt with a model, or with the one in a run folder.

    `settings` are those of `Sampling`. With `beams` above 1 nothing is drawn: beam search, to which `length_penalty`
    and `no_repeat_ngram` belong, finds likely continuations, and the best `samples` are returned, the best first.

    `precision` is that of the weights (`inference/quantisation.py`): "auto" leaves their numbers as they are, "int8" and "int4"
    are smaller and faster on a CPU, and lose a little. `compiled` is that of
    `inference/fast_decoder.py`: None takes compiled code where it is there, True makes it first (seconds, once), False goes without.

    With `json_schema` (as it is, or a file), `regex` or `choices` the continuation keeps to that form
    (`inference/constrained.py`); one that is cut off when its tokens are used up says so: `finish_reason` is "length".

    A text ends at a token of `ends`; without them at the end of a document, and of a run that was tuned to converse at the end of an
    answer, too.

    `draft` guesses up to `draft_tokens` at once, which the model then checks together: "lookup", "ngram", a run with the same
    tokenizer, or a model (`inference/speculative.py`). Texts are distributed as without it, and come faster where the guesses
    are often right; `speculated` of each says how often.

    With `endless` a text longer than the context goes on with its first `sinks` tokens and the last ones in sight, `window` in
    all (by default the context), instead of from its last half (`inference/window.py`). With `context` the model reads so many
    tokens at once, more than it was trained on: its positions are stretched as `rope_scaling` says, "linear", "ntk" or "yarn",
    the default (`models/longer_context.py`).

    >>> inkstone.generate("runs/mine", "It was", temperature=0.7, max_tokens=50)[0].text  # doctest: +SKIP

    Raises SamplingError for a setting that cannot hold, ConstraintError for a form that cannot be kept to, RunError for a
    folder that is no model and a draft that does not fit, RecipeError for a context that cannot be.
    """
    sampling = sampling_from(settings)
    constraint = constraint_of(json_schema, regex, choices)
    if beams != 1 and (drawing := sorted(settings.keys() - {"max_tokens", "max_length"})):
        raise SamplingError(f"beam search draws nothing: leave out {', '.join(drawing)}, or beams")
    opened = load(run, device=device) if isinstance(run, str | Path) else run
    if ends is None and isinstance(run, str | Path):
        ends = ends_in(local_folder(run), opened.tokenizer)
    model = in_precision(stretched_to(opened, context, rope_scaling), precision)
    if beams != 1:
        if draft is not None or endless or window is not None or sinks is not None:
            raise SamplingError(
                "beam search has no draft and no window: leave out draft, endless, window and sinks, or beams"
            )
        if compiled:
            model = for_generation(model, beams, compiled)
        search = {"alpha": length_penalty, "no_repeat_ngram": no_repeat_ngram, "constraint": constraint, "ends": ends}
        return _by_beam_search(model, prompt, sampling, samples, beams, **search)
    speculation = speculation_of(draft, draft_tokens, model, None if opened is run else run)  # type: ignore[arg-type]
    wide = window_of(model, context_of(model), endless=endless, window=window, sinks=sinks)
    form = {"ends": ends, "constraint": constraint, "speculation": speculation, "window": wide, "compiled": compiled}
    pieces = stream(model, prompt, sampling, samples, **form)
    done = [piece for piece in pieces if piece.generated]
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
    speculation: Speculation | None = None,
    window: Window | None = None,
    compiled: bool | None = None,
) -> Iterator[Piece]:
    """Continue a prompt, giving text out as soon as its characters are whole and no stop string can begin in it.

    A sample ends at a token of `ends` (without it: the tokenizer's end token), at a stop string, or when its tokens
    are used up. The same seed gives the same samples, whatever their number, up to rounding in the model.
    A text longer than the model's context goes on from its last half, or with what its `window` keeps in sight. With a
    `constraint` each sample has its form. With a `speculation` a draft guesses ahead.
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
    model = for_generation(model, samples, compiled)
    if speculation is not None:
        yield from speculative.write(model, first, rows, sampling, ends, budget, speculation, window)
        return
    read = torch.tensor([first]).expand(samples, -1)
    scores, state = prefill(model, read[:1], window)
    scores, state = scores.expand(samples, -1), state.select(torch.zeros(samples, dtype=torch.long))
    written = 0  # tokens of each text that were read; one that is ahead of the others waits until its own are
    while True:
        due = [place for place, row in enumerate(rows) if len(row.ids) == written]
        seen, scores = (read, scores) if len(due) == len(rows) else (read[due], scores[due])
        if math.isnan(float(scores.sum())):
            raise InkstoneError("the model's probabilities are not numbers; its weights are damaged")
        uniform = torch.tensor([rows[place].random.random() for place in due], dtype=torch.float64)
        forms = [form_of_row for place in due if (form_of_row := rows[place].form) is not None]
        warped = sampling.warp(constrained(scores, forms) if forms else scores, seen, len(first))
        chosen = sampling.draw(warped, uniform)
        gained = scores.gather(1, chosen[:, None])[:, 0].tolist()
        for place, number, log_probability in zip(due, chosen.tolist(), gained, strict=True):
            row = rows[place]
            text = row.push(number, log_probability, ends, budget) + row.jump(ends, budget)
            if text or row.reason:
                yield Piece(row.sample, text, row.generated(time.perf_counter() - began))
        going = [place for place, row in enumerate(rows) if row.reason is None]
        if not going:
            return
        if len(going) < len(rows):
            kept = torch.tensor(going)
            rows, read, state = [rows[place] for place in going], read[kept], state.select(kept)
        ahead = min(len(row.ids) for row in rows) - written
        if ahead > 1 and (room := room_in(model, state, window)) is not None:
            ahead = max(1, min(ahead, room))
        read = torch.cat((read, torch.tensor([row.ids[written : written + ahead] for row in rows])), dim=1)
        written += ahead
        if window is not None and not sampling.looks_back:
            read = read[:, -ahead:]  # nothing of the rest is asked for again, and it would grow without end
        scores, state = advance(model, read, state, window, ahead)


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
            row.push(number, log_probability, search["ends"] or {model.tokenizer.end}, len(hypothesis.ids))
        done.append(row.generated(time.perf_counter() - began))
    return done
