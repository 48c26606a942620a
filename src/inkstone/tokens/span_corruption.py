"""Span corruption: pieces of a text are taken out and asked for (Raffel et al. 2020, section 3.1.4).

    text      Thank you for inviting me to your party last week
    source    Thank you <0> me to your party <1> week
    target    <0> for inviting end <1> last end

15 % of the tokens, in spans of 3 on average. As published, a sentinel stands for each span and the target is all spans
behind their sentinels. Unlike there a span is closed by the end token, not by the next sentinel: only tokens of the
tokenizer are ever predicted, and what the model gives stays a distribution over its vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

SHARE = 0.15  # of the tokens that are taken out
MEAN_SPAN = 3.0  # tokens
PADDING = -1  # the number of the document that padding belongs to


@dataclass(frozen=True)
class Corrupted:
    """Source and target of every row, padded on the right. The last source position is always padding."""

    source: Int[Tensor, "b s"]
    source_document: Int[Tensor, "b s"]
    read: Int[Tensor, "b t"]  # what the decoder reads: sentinels and tokens taken out
    targets: Int[Tensor, "b t"]  # what comes next: tokens taken out and ends
    target_document: Int[Tensor, "b t"]


def random_spans(length: int, generator: torch.Generator | None) -> Bool[np.ndarray, " length"]:
    """Which of `length` tokens are taken out: kept and taken stretches in turn, each of random length."""
    taken = min(max(1, round(length * SHARE)), length - 1)
    if taken < 1:
        return np.zeros(length, dtype=bool)
    spans = min(max(1, round(taken / MEAN_SPAN)), length - taken)
    lengths = np.stack((_parts(length - taken, spans, generator), _parts(taken, spans, generator)), axis=1)
    return np.repeat(np.tile([False, True], spans), lengths.flatten())


def _parts(total: int, parts: int, generator: torch.Generator | None) -> Int[np.ndarray, " parts"]:
    """`total` in so many random parts, none empty."""
    cuts = torch.randperm(total - 1, generator=generator)[: parts - 1].sort().values.numpy() + 1
    return np.diff(np.concatenate(([0], cuts, [total])))


def corrupt_spans(
    ids: Int[Tensor, "b t"],
    document: Int[Tensor, "b t"] | None,
    *,
    end: int,
    first_sentinel: int,
    n_sentinels: int,
    generator: torch.Generator | None,
) -> Corrupted:
    """Take spans out of packed rows. Sentinels are numbered from `first_sentinel` in each document anew.

    The end token that opens a document stays, so that no span reaches into another document; a document gives at most
    `n_sentinels` spans.
    """
    tokens = ids.cpu().numpy()
    documents = np.zeros_like(tokens) if document is None else document.cpu().numpy().astype(np.int64)
    rows = [
        _corrupt_row(*row, end, first_sentinel, n_sentinels, random_spans(ids.shape[1], generator))
        for row in zip(tokens, documents, strict=True)
    ]
    columns = []
    for index, spare in enumerate((1, 1, 0, 0, 0)):
        longest = max(len(row[index]) for row in rows) + spare
        fill = PADDING if index in (1, 4) else end
        padded = np.full((len(rows), longest), fill, dtype=np.int64)
        for into, row in zip(padded, rows, strict=True):
            into[: len(row[index])] = row[index]
        columns.append(torch.from_numpy(padded).to(ids.device))
    return Corrupted(*columns)


def _corrupt_row(
    tokens: np.ndarray, document: np.ndarray, end: int, first_sentinel: int, n_sentinels: int, taken: np.ndarray
) -> tuple[np.ndarray, ...]:
    taken = taken & (tokens != end)
    opens = taken & ~np.concatenate(([False], taken[:-1] & (document[1:] == document[:-1])))
    numbers = np.cumsum(opens)  # of spans, from 1, in the whole row
    begins = np.flatnonzero(np.concatenate(([True], document[1:] != document[:-1])))
    before = np.repeat(numbers[begins] - opens[begins], np.diff(np.append(begins, len(tokens))))
    sentinel = numbers - before - 1  # of the document's spans, from 0
    taken &= sentinel < n_sentinels
    opens &= taken
    kept = ~taken | opens
    source = np.where(opens, first_sentinel + sentinel, tokens)[kept]
    # Each span is laid into the target as its sentinel and its tokens; the target is the same, one token earlier.
    place = np.cumsum(taken) + np.cumsum(opens) - 1
    length = int(taken.sum() + opens.sum())
    read, targets = np.zeros(length, dtype=np.int64), np.full(length, end, dtype=np.int64)
    target_document = np.zeros(length, dtype=np.int64)
    read[place[opens] - 1] = first_sentinel + sentinel[opens]
    read[place[taken]] = tokens[taken]
    targets[place[taken] - 1] = tokens[taken]
    target_document[place[opens] - 1] = document[opens]
    target_document[place[taken]] = document[taken]
    return source, document[kept], read, targets, target_document
