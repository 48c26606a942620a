"""What a model makes of the items of a suite: is the right option the likeliest, and how sure is the share of those?

    acc        share of the items whose right option has the largest log p(option | context)
    acc_norm   the same by log p / characters of the option, which does not favour short ones
    acc_bytes  the same by log p / bytes of the option in UTF-8
    perplexity exp(mean of −log p(last word | passage)), where a last word is asked for; acc is then greedy decoding's

These are lm_eval's definitions but for one: an option shares its place where others are as likely, and counts for what a
guess among them would win. (lm_eval takes the first, so that on BLiMP, where the right one always stands first, a model
that knows nothing would be perfect.)

A minimal pair is judged by its sentences without their end. A `WholeDocuments` model judges them with it, by the
likelihood of its own that the figures name. All else is the chain of `step`, for every family.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from inkstone.evaluation.continuations import Continuation, continuation_scores
from inkstone.evaluation.intervals import ratio_interval
from inkstone.evaluation.suite_items import Item
from inkstone.models.base import LanguageModel, WholeDocuments
from inkstone.tokens.tokenizer import Tokenizer

TIE = 1e-6  # relative difference of log-likelihoods that rounding alone can make
WHOLE_TOKENS = 4096  # given to a `WholeDocuments` model at once


def score_items(
    model: LanguageModel,
    items: Sequence[Item],
    *,
    window: int | None,
    seed: int = 0,
    confidence: float = 0.95,
    report: Callable[[int], None] = lambda options: None,
) -> dict[str, Any]:
    """The figures of a model on items of one kind, each with its bootstrap interval over the items.

    `report` is told of the options scored.
    """
    started = time.monotonic()
    kind = items[0].kind
    whole = kind == "pairs" and isinstance(model, WholeDocuments)
    scores = _whole_nats(model, items, report) if whole else _chained(model, items, window, report)  # type: ignore[arg-type]
    ends = np.cumsum([len(item.options) for item in items])
    each = [scores[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    nats = [np.array([score.nats for score in some]) for some in each]
    weights = _weights(items)
    figures: dict[str, Any] = {"kind": kind, "items": len(items), "confidence": confidence}
    if whole:
        figures["likelihood"] = model.likelihood  # type: ignore[attr-defined]

    def put(name: str, values: np.ndarray) -> None:
        figures[name] = float((values * weights).sum() / weights.sum())
        generator = np.random.default_rng(seed)
        interval = ratio_interval(values * weights, weights, confidence, generator=generator)
        figures[f"{name}_low"], figures[f"{name}_high"] = interval

    if kind == "last word":
        put("acc", np.array([float(bool(some[0].greedy)) for some in each]))
        put("perplexity", np.array([some[0] for some in nats]))
        for name in ("perplexity", "perplexity_low", "perplexity_high"):
            figures[name] = None if figures[name] is None else float(np.exp(np.minimum(figures[name], 700)))
        figures["chance"] = 0.0
    else:
        right = np.array([credit(-some, item.gold) for some, item in zip(nats, items, strict=True)])
        put("acc", right)
        if kind == "choices":
            for name, size in (("acc_norm", len), ("acc_bytes", lambda text: len(text.encode("utf-8", "replace")))):
                by_length = [-some / [size(c) for c in item.choices] for some, item in zip(nats, items, strict=True)]
                put(name, np.array([credit(s, item.gold) for s, item in zip(by_length, items, strict=True)]))
        figures["chance"] = float(np.mean([1 / len(item.options) for item in items]))
        for level in ("field", "paradigm"):
            names = np.array([getattr(item, level) for item in items])
            if names.any():
                found = {str(name): names == name for name in np.unique(names)}
                means = {name: float(np.average(right[own], weights=weights[own])) for name, own in found.items()}
                figures[f"{level}s"] = means
    figures["seconds"] = round(time.monotonic() - started, 3)
    return figures


def credit(scores: Float[np.ndarray, " options"], gold: int) -> float:
    """1 where the right option scores best, 0 where it does not, 1/k where it is one of k that score best alike.

    >>> credit(np.array([-3.0, -2.0]), 1), credit(np.array([-2.0, -3.0]), 1), credit(np.array([-2.0, -2.0]), 1)
    (1.0, 0.0, 0.5)
    """
    best = (scores == scores.max()) | np.isclose(scores, scores.max(), rtol=TIE, atol=0)
    return float(best[gold]) / int(best.sum())


def _weights(items: Sequence[Item]) -> Float[np.ndarray, " items"]:
    """What makes the mean over items one over paradigms: 1 / items of its paradigm."""
    names, place, times = np.unique([item.paradigm for item in items], return_inverse=True, return_counts=True)
    return 1 / times[place] if len(names) > 1 else np.ones(len(items))


def _chained(
    model: LanguageModel, items: Sequence[Item], window: int | None, report: Callable[[int], None]
) -> list[Continuation]:
    """The score of every option of every item, by the chain of `step`."""
    pairs = encoded(items, model.tokenizer)
    return continuation_scores(model, pairs, window=window, greedy=items[0].kind == "last word", report=report)


def encoded(items: Sequence[Item], tokenizer: Tokenizer) -> list[tuple[list[int], list[int]]]:
    """Each option of each item as ids of (context, continuation), with what stands before every text.

    Both are encoded together, and divided where the context's own ids end. Where a token lies across that border, the
    options of an item are divided before it, all at the same place, so that each pays for the same characters.
    """
    texts: dict[str, int] = {}
    for item in items:
        for context, continuation in item.options:
            for text in (context, context + continuation):
                texts.setdefault(text, len(texts))
    ids = [each.tolist() for each in tokenizer.encode_batch(list(texts))]
    pairs = []
    for item in items:
        split: dict[str, int] = {}
        for context, continuation in item.options:
            alone, both = ids[texts[context]], ids[texts[context + continuation]]
            shared = next((i for i, (a, b) in enumerate(zip(alone, both, strict=False)) if a != b), len(alone))
            split[context] = min(shared, len(both) - 1, split.get(context, len(alone)))
        for context, continuation in item.options:
            both = ids[texts[context + continuation]]
            at = split[context]
            pairs.append(([*tokenizer.begin, *both[:at]] or [tokenizer.end], both[at:]))
    return pairs


def _whole_nats(model: WholeDocuments, items: Sequence[Item], report: Callable[[int], None]) -> list[Continuation]:
    """The likelihood of whole sentences by a model that has one of its own."""
    texts = [continuation for item in items for _, continuation in item.options]
    documents = model.tokenizer.encode_batch(texts)  # type: ignore[attr-defined]
    scores: list[Continuation] = []
    while len(scores) < len(documents):
        some, size = [], 0
        for ids in documents[len(scores) :]:
            size += len(ids) + 1
            if some and size > WHOLE_TOKENS:
                break
            some.append(ids)
        nats = model.document_nats(some, torch.Generator().manual_seed(0))
        scores += [Continuation(float(value), None) for value in nats]
        report(len(some))
    return scores
