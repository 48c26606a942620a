"""How likely is a continuation after a context, and is it what greedy decoding would write? Many at once, for every family.

    −log p(c₁ … cₙ | context) = −Σᵢ log p(cᵢ | context, c₁ … cᵢ₋₁)

There are three ways to the same figures, and each model takes the cheapest that it has:

- `ReadsThrough`, where nobody asks for greedy decoding: whole texts, without whole distributions.
- `NextTokenModel`: rows of context and continuation, of like length together; logits at the continuations alone.
- `step`: a context is read once, its state copied for each of its continuations, and these are read on. All families have
  this, and a `NextTokenModel` takes it too where several continuations share a context that is long enough to be worth it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import TextError
from inkstone.evaluation.likelihood import LOGITS_AT_ONCE
from inkstone.inference.prefill import device_of
from inkstone.models.base import LanguageModel, NextTokenModel, ReadsThrough

WORTH_SHARING = 8  # tokens of a context; shorter ones are read again rather than gathered by their length

Pair = tuple[Sequence[int], Sequence[int]]  # context, continuation
Report = Callable[[int], None]  # is told of the pairs scored


@dataclass(frozen=True)
class Continuation:
    """What a model makes of a continuation after its context."""

    nats: float  # negative log-likelihood
    greedy: bool | None  # whether each of its tokens was the likeliest; None where that was not asked for


@dataclass(frozen=True)
class _Part:
    """A continuation, or a part of one that is longer than the window, on its way through."""

    owner: int  # the pair it belongs to
    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def __len__(self) -> int:
        """Tokens that a model reads for it: the last one is only foreseen."""
        return len(self.context) + len(self.continuation) - 1


@torch.inference_mode()
def continuation_scores(
    model: LanguageModel,
    pairs: Sequence[Pair],
    *,
    window: int | None,
    greedy: bool = True,
    pass_tokens: int = 4096,
    report: Report = lambda pairs: None,
) -> list[Continuation]:
    """The likelihood of each continuation after its context, both given as token ids; a context begins as in training.

    window: tokens the model reads at once, None for one without a bound. What is longer loses the beginning of its
    context; a continuation that alone is longer slides through, with half a window before each part.
    greedy: whether to tell what greedy decoding would write.
    pass_tokens: tokens in one pass of the model, which bounds the memory.

    Raises TextError for a pair of which one side is empty.
    """
    for number, (context, continuation) in enumerate(pairs):
        if not len(context) or not len(continuation):
            raise TextError(f"pair {number} has an empty {'continuation' if len(context) else 'context'}")
    parts = [part for number, pair in enumerate(pairs) for part in _parts(number, pair, window)]
    training = isinstance(model, nn.Module) and model.training
    if training:
        model.eval()  # type: ignore[union-attr]
    try:
        nats, told = _score(model, parts, window, greedy, pass_tokens, report)
    finally:
        if training:
            model.train()  # type: ignore[union-attr]
    total, all_greedy = np.zeros(len(pairs)), np.ones(len(pairs), dtype=bool)
    owners = np.array([part.owner for part in parts], dtype=np.int64)
    np.add.at(total, owners, nats)
    np.logical_and.at(all_greedy, owners, told)
    return [
        Continuation(float(value), bool(likeliest) if greedy else None)
        for value, likeliest in zip(total, all_greedy, strict=True)
    ]


def _parts(owner: int, pair: Pair, window: int | None) -> Iterator[_Part]:
    """A pair as it fits into the window."""
    context, continuation = tuple(pair[0]), tuple(pair[1])
    if window is None or len(context) + len(continuation) - 1 <= window:
        yield _Part(owner, context, continuation)
        return
    stride = len(continuation) if len(continuation) <= window else max(1, window // 2)
    for at in range(0, len(continuation), stride):
        part = continuation[at : at + stride]
        yield _Part(owner, (context + continuation[:at])[-(window + 1 - len(part)) :], part)


def _score(
    model: LanguageModel, parts: list[_Part], window: int | None, greedy: bool, pass_tokens: int, report: Report
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Nats of each part, and whether it is what greedy decoding writes (where not asked for: True)."""
    nats, told = np.zeros(len(parts)), np.ones(len(parts), dtype=bool)
    tokenizer = model.tokenizer
    opening = (tokenizer.begin or [tokenizer.end])[-1]
    if isinstance(model, ReadsThrough) and not greedy and all(part.context[0] == opening for part in parts):
        texts = [np.array(part.context[1:] + part.continuation, dtype=np.int64) for part in parts]
        for i, (part, each) in enumerate(zip(parts, model.token_nats(texts), strict=True)):
            first = len(part.context) - 1
            nats[i] = each[first : first + len(part.continuation)].sum()
        report(len(parts))
        return nats, told
    sharers: dict[tuple[int, ...], list[int]] = {}
    for i, part in enumerate(parts):
        sharers.setdefault(part.context, []).append(i)
    if isinstance(model, NextTokenModel) and window is not None:
        alone = [c for c, sharing in sharers.items() if len(sharing) == 1 or len(c) < WORTH_SHARING]
        rows = [i for context in alone for i in sharers.pop(context)]
        rows.sort(key=lambda i: len(parts[i]), reverse=True)  # rows of like length waste little on padding
        while rows:
            count = max(1, pass_tokens // len(parts[rows[0]]))
            some, rows = rows[:count], rows[count:]
            nats[some], told[some] = _by_rows(model, [parts[i] for i in some])
            report(len(some))
    most_rows = max(1, LOGITS_AT_ONCE // tokenizer.vocab_size)
    for batch in _batches(parts, sharers, pass_tokens, most_rows):
        some = [i for sharing in batch for i in sharing]
        nats[some], told[some] = _by_steps(model, [[parts[i] for i in sharing] for sharing in batch])
        report(len(some))
    return nats, told


def _batches(
    parts: list[_Part], sharers: dict[tuple[int, ...], list[int]], pass_tokens: int, most_rows: int
) -> Iterator[list[list[int]]]:
    """Contexts of one length to be read together, each with the continuations that follow it."""
    jobs = []
    for sharing in sharers.values():
        sharing.sort(key=lambda i: len(parts[i]), reverse=True)
        count = max(1, min(most_rows, pass_tokens // len(parts[sharing[0]].continuation)))
        jobs += [sharing[at : at + count] for at in range(0, len(sharing), count)]
    jobs.sort(key=lambda job: (len(parts[job[0]].context), len(parts[job[0]])), reverse=True)
    batch: list[list[int]] = []
    rows = longest = 0
    for job in jobs:
        length = len(parts[job[0]].context)
        rows += len(job)
        longest = max(longest, len(parts[job[0]].continuation))
        full = rows > most_rows or rows * longest > pass_tokens or (len(batch) + 1) * length > pass_tokens
        if batch and (full or len(parts[batch[0][0]].context) != length):
            yield batch
            batch, rows, longest = [], len(job), len(parts[job[0]].continuation)
        batch.append(job)
    if batch:
        yield batch


def _by_rows(model: NextTokenModel, parts: list[_Part]) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Context and continuation in one row, the longest first. On the right stands padding, where no causal model looks."""
    shape = (len(parts), len(parts[0]))
    inputs, targets = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    asked = np.zeros(shape, dtype=bool)
    for row, part in enumerate(parts):
        text = part.context + part.continuation
        inputs[row, : len(part)], targets[row, : len(part)] = text[:-1], text[1:]
        asked[row, len(part.context) - 1 : len(part)] = True
    device = device_of(model)  # type: ignore[arg-type]
    ids, wanted, kept = (torch.from_numpy(x).to(device) for x in (inputs, targets, asked))
    hidden, wanted = model.hidden(ids)[kept], wanted[kept]
    weight = model.output_weight.float()
    nats, told = np.zeros(shape), np.ones(shape, dtype=bool)
    chunk = max(1, LOGITS_AT_ONCE // weight.shape[0])
    found = [
        _picked((some.float() @ weight.T).log_softmax(-1), w)
        for some, w in zip(hidden.split(chunk), wanted.split(chunk), strict=True)
    ]
    nats[asked], told[asked] = (torch.cat(each).cpu().numpy() for each in zip(*found, strict=True))
    return nats.sum(1), np.all(told, axis=1)


def _by_steps(model: LanguageModel, batch: list[list[_Part]]) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Contexts of one length read once, their states copied, and the continuations read on, each until it ends."""
    device = device_of(model)
    parts = [part for sharing in batch for part in sharing]
    owner = np.repeat(np.arange(len(batch)), [len(sharing) for sharing in batch])
    lengths = np.array([len(part.continuation) for part in parts])
    order = np.argsort(-lengths, kind="stable")
    lengths = lengths[order]
    targets = np.zeros((len(parts), lengths[0]), dtype=np.int64)
    for row, i in enumerate(order):
        targets[row, : lengths[row]] = parts[i].continuation
    wanted = torch.from_numpy(targets).to(device)
    contexts = torch.tensor([sharing[0].context for sharing in batch], device=device)
    scores, state = model.step(contexts, model.start(len(batch)), last=True)
    rows = torch.from_numpy(owner[order]).to(device)
    state = state.select(rows)
    nats, told = np.zeros(targets.shape), np.ones(targets.shape, dtype=bool)
    scores, at, stop = scores[rows], 0, 1
    while True:
        alive = len(scores)
        picked = _picked(scores, wanted[:alive, at:stop])
        nats[:alive, at:stop], told[:alive, at:stop] = (each.cpu().numpy() for each in picked)
        at = stop
        if at >= targets.shape[1]:
            break
        left = int((lengths > at).sum())
        if left < alive:
            state = state.select(torch.arange(left, device=device))
        stop = min(at + max(1, LOGITS_AT_ONCE // (left * scores.shape[-1])), targets.shape[1])
        # What is read is one place behind what is foreseen.
        scores, state = model.step(wanted[:left, at - 1 : stop - 1], state)
    inside = np.arange(targets.shape[1]) < lengths[:, None]
    back = np.argsort(order)
    return np.where(inside, nats, 0).sum(1)[back], np.all(told | ~inside, axis=1)[back]


def _picked(scores: Float[Tensor, "*n v"], wanted: Int[Tensor, "*n"]) -> tuple[Float[Tensor, "*n"], Bool[Tensor, "*n"]]:
    """Nats of the wanted tokens, and whether each is the likeliest there."""
    return -scores.gather(-1, wanted[..., None])[..., 0].double(), scores.argmax(-1) == wanted
