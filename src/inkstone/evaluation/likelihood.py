"""How likely is this text? One answer for every family of language model, in nats, to be divided by bytes, words or tokens.

A document t₁ … tₙ is scored as p(t₁ … tₙ end | end): the end token stands before the first token, as in training, and the
end of the document is paid for like any other token. (A foreign model that begins texts with a token of its own, as Llama
does, is given that one before.)

A model whose likelihood is not the chain of its steps (`WholeDocuments`) is asked for each document, or section of one, as
a whole.

Text longer than the window slides through it: each prediction sees at least `window − stride` tokens before it, or all there
are, and each is counted once. A document longer than a section is cut into sections, the units of the interval and of
sampling; a section's first predictions still see the text before it.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import TextError
from inkstone.evaluation.intervals import ratio_interval
from inkstone.evaluation.words import count_words
from inkstone.inference.prefill import device_of
from inkstone.models.base import LanguageModel, NextTokenModel, ReadsThrough, WholeDocuments
from inkstone.tokens.tokenizer import Tokenizer

SECTION = 2048  # tokens of a section
FEWEST_DOCUMENTS = 30  # with fewer than these, the interval is over sections
LOGITS_AT_ONCE = 1 << 22  # 16 MB in single precision
BUFFER_PASSES = 32  # passes whose documents are sorted by length together


@dataclass(frozen=True)
class Likelihood:
    """Sums over scored text: one entry a document, and for the interval one a section."""

    nats: Float[np.ndarray, " documents"]  # negative log-likelihood
    tokens: Int[np.ndarray, " documents"]  # predictions: the tokens, and the end of the document
    bytes: Int[np.ndarray, " documents"]  # of the text in UTF-8
    characters: Int[np.ndarray, " documents"]  # Unicode code points
    words: Int[np.ndarray, " documents"]  # as `count_words` has them
    section_nats: Float[np.ndarray, " sections"]
    section_bytes: Int[np.ndarray, " sections"]

    @property
    def bits_per_byte(self) -> float:
        """nats / (ln 2 · bytes): the one figure that tokenizers of all kinds can be compared by."""
        return float(self.nats.sum() / (math.log(2) * self.bytes.sum()))

    def perplexity(self, per: str) -> float:
        """exp(nats / units), `per` being "tokens", "words", "characters" or "bytes".

        All units divide the same sum of nats. Only perplexities per word, character or byte can be compared between
        models of different vocabularies.
        """
        return _exp(self.nats.sum() / max(1, getattr(self, per).sum()))

    def interval_units(self) -> tuple[str, np.ndarray, np.ndarray]:
        """What the interval resamples: documents, or sections of them where there are too few documents."""
        if len(self.nats) >= FEWEST_DOCUMENTS or len(self.section_nats) <= len(self.nats):
            return "documents", self.nats, self.bytes
        return "sections", self.section_nats, self.section_bytes

    def figures(self, seed: int = 0, confidence: float = 0.95) -> dict[str, Any]:
        """The figures of a table: bits per byte with its bootstrap interval, and the perplexities."""
        units, nats, sizes = self.interval_units()
        low, high = ratio_interval(nats / math.log(2), sizes, confidence, generator=np.random.default_rng(seed))
        return {
            "bits_per_byte": self.bits_per_byte,
            "low": low,
            "high": high,
            "confidence": confidence,
            "interval_over": units,
            "interval_units": len(nats),
            "perplexity_token": self.perplexity("tokens"),
            "perplexity_word": self.perplexity("words"),
            "perplexity_character": self.perplexity("characters"),
            "nats": float(self.nats.sum()),
            "tokens": int(self.tokens.sum()),
            "bytes": int(self.bytes.sum()),
            "characters": int(self.characters.sum()),
            "words": int(self.words.sum()),
            "documents": len(self.nats),
        }


@torch.inference_mode()
def score(
    model: LanguageModel,
    documents: Iterable[np.ndarray],
    *,
    window: int | None,
    stride: int | None = None,
    share: float = 1.0,
    section: int = SECTION,
    pass_tokens: int = 4096,
    most: int | None = None,
    report: Callable[[int], None] | None = None,
) -> Likelihood:
    """The likelihood of documents, each an array of token ids without its end token.

    window: tokens read at once; None for a model that remembers all it has read, which then reads each document through.
    stride: predictions counted in each full window; default half the window.
    share: share of the sections to score, evenly spaced; the context before each is still read.
    pass_tokens: tokens in one pass of the model, which bounds the memory.
    most: tokens asked for, of a model for which each costs a pass of its own; a sample then speaks for all.
    report: is told of the tokens scored, a group of documents at a time.

    Raises TextError where there is nothing to score.
    """
    if window is not None and window < 1:
        raise TextError(f"window = {window}, but must be at least 1 token")
    if stride is None:
        stride = max(1, window // 2) if window is not None else 1
    if window is not None and not 1 <= stride <= window:
        raise TextError(f"stride = {stride}, but must be from 1 to the window, {window}")
    training = isinstance(model, nn.Module) and model.training
    if training:
        model.eval()  # type: ignore[union-attr]
    try:
        chosen = _Chosen(share)
        scored: list[_Document] = []
        group: list[_Document] = []
        for ids in documents:
            document = _Document.of(np.asarray(ids), model.tokenizer, section, chosen)
            if document is None:
                continue
            group.append(document)
            if sum(len(d.nats) for d in group) >= BUFFER_PASSES * pass_tokens:
                scored += _score_group(model, group, window, stride, pass_tokens, report, most)
                group = []
        if group:
            scored += _score_group(model, group, window, stride, pass_tokens, report, most)
    finally:
        if training:
            model.train()  # type: ignore[union-attr]
    if not sum(d.size for d in scored):
        raise TextError("there is no text to score")
    return Likelihood(
        nats=np.array([d.section_nats.sum() for d in scored]),
        tokens=np.array([d.scored_tokens for d in scored]),
        bytes=np.array([d.size for d in scored]),
        characters=np.array([d.characters for d in scored]),
        words=np.array([d.words for d in scored]),
        section_nats=np.concatenate([d.section_nats for d in scored]),
        section_bytes=np.concatenate([d.section_bytes for d in scored]),
    )


class _Chosen:
    """Systematic sampling: of every 1/share sections in a row, the one in the middle."""

    def __init__(self, share: float):
        self.share, self.seen = min(1.0, max(share, 1e-9)), 0

    def __call__(self) -> bool:
        before, self.seen = self.seen, self.seen + 1
        return int(self.seen * self.share + 0.5) > int(before * self.share + 0.5)


@dataclass
class _Document:
    """A document on its way through; `nats` has one place a prediction, and is emptied once its sections are summed."""

    inputs: np.ndarray  # end, t₁ … tₙ
    targets: np.ndarray  # t₁ … tₙ, end
    nats: np.ndarray
    ranges: list[tuple[int, int]]  # the predictions of each section to be scored
    section_bytes: np.ndarray
    size: int
    characters: int
    words: int
    section_nats: np.ndarray
    scored_tokens: int

    @classmethod
    def of(cls, ids: np.ndarray, tokenizer: Tokenizer, section: int, chosen: Callable[[], bool]) -> "_Document | None":
        ranges, pieces = [], []
        cuts = list(_cuts(ids, tokenizer, section))
        for a, b in pairwise(cuts):
            if chosen():
                ranges.append((a, b + 1 if b == len(ids) else b))
                pieces.append(tokenizer.decode(ids[a:b].tolist()))
        if not ranges:
            return None
        end = np.array([tokenizer.end], dtype=np.int64)
        before = np.array([tokenizer.begin[-1] if tokenizer.begin else tokenizer.end], dtype=np.int64)
        text = "".join(pieces)
        return cls(
            inputs=np.concatenate([before, ids]).astype(np.int64),
            targets=np.concatenate([ids, end]).astype(np.int64),
            nats=np.zeros(len(ids) + 1),
            ranges=ranges,
            section_bytes=np.array([_size(piece) for piece in pieces]),
            size=_size(text),
            characters=len(text),
            words=count_words(text),
            section_nats=np.zeros(len(ranges)),
            scored_tokens=sum(b - a for a, b in ranges),
        )

    def close(self) -> None:
        """Sum up the sections and let go of the tokens."""
        self.section_nats = np.array([self.nats[a:b].sum() for a, b in self.ranges])
        self.inputs = self.targets = self.nats = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class _Passage:
    """What the model reads in one go: inputs begin … stop, of which the predictions from `counted` on are kept."""

    document: _Document
    begin: int
    counted: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.begin


def _passages(document: _Document, window: int | None, stride: int) -> Iterator[_Passage]:
    if window is None:
        yield _Passage(document, 0, 0, document.ranges[-1][1])
        return
    at = 0
    for a, b in document.ranges:
        at = max(at, a)
        while at < b:
            # At the start of a document there is nothing to be read before, so the first window counts in full.
            begin = max(0, at - (window - stride))
            stop = min(begin + window, b)
            yield _Passage(document, begin, at, stop)
            at = stop


def _score_group(
    model: LanguageModel,
    group: list[_Document],
    window: int | None,
    stride: int,
    pass_tokens: int,
    report: Callable[[int], None] | None,
    most: int | None,
) -> list[_Document]:
    if isinstance(model, WholeDocuments):
        _score_whole(model, group, most)
        if report:
            report(sum(document.scored_tokens for document in group))
        return group
    if isinstance(model, ReadsThrough):
        for document, nats in zip(group, model.token_nats([d.inputs[1:] for d in group]), strict=True):
            document.nats = nats
            document.close()
        if report:
            report(sum(document.scored_tokens for document in group))
        return group
    passages = [passage for document in group for passage in _passages(document, window, stride)]
    passages.sort(key=len, reverse=True)  # rows of like length waste little on padding
    start = 0
    while start < len(passages):
        rows = max(1, pass_tokens // len(passages[start]))
        batch = passages[start : start + rows]
        _score_batch(model, batch, whole=window is None)
        if report:
            report(sum(p.stop - p.counted for p in batch))
        start += rows
    for document in group:
        document.close()
    return group


def _score_whole(model: WholeDocuments, group: list[_Document], most: int | None) -> None:
    """The likelihood of each section to be scored as of a document of its own: what stands before it is not seen. Only the last
    section of a document pays for its end.
    """
    ranges = [(document, a, b) for document in group for a, b in document.ranges]
    ends = [b == len(document.targets) for document, _, b in ranges]
    sections = [document.targets[a : b - end] for (document, a, b), end in zip(ranges, ends, strict=True)]
    nats = iter(model.document_nats(sections, torch.Generator().manual_seed(0), ends, most=most))
    for document in group:
        document.section_nats = np.array([next(nats) for _ in document.ranges])
        document.inputs = document.targets = document.nats = np.zeros(0, dtype=np.int64)


def _score_batch(model: LanguageModel, batch: list[_Passage], whole: bool) -> None:
    """Fill in the nats of the counted predictions. Rows are padded on the right, where a causal model never looks."""
    longest = len(batch[0])
    inputs = np.zeros((len(batch), longest), dtype=np.int64)
    targets = np.zeros((len(batch), longest), dtype=np.int64)
    counted = np.zeros((len(batch), longest), dtype=bool)
    for row, p in enumerate(batch):
        inputs[row, : len(p)] = p.document.inputs[p.begin : p.stop]
        targets[row, : len(p)] = p.document.targets[p.begin : p.stop]
        counted[row, p.counted - p.begin : len(p)] = True
    device = device_of(model)
    ids, wanted, kept = (torch.from_numpy(x).to(device) for x in (inputs, targets, counted))
    if isinstance(model, NextTokenModel) and not whole:
        nats = np.zeros(counted.shape)
        nats[counted] = _matrix_nats(model.hidden(ids)[kept], model.output_weight, wanted[kept]).double().cpu().numpy()
    else:
        nats = _stepped_nats(model, ids, wanted, [len(p) for p in batch]).double().cpu().numpy()
    for row, p in enumerate(batch):
        p.document.nats[p.counted : p.stop] = nats[row, p.counted - p.begin : len(p)]


def _matrix_nats(
    hidden: Float[Tensor, "n width"], weight: Float[Tensor, "v width"], targets: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """−log softmax(weight h)[target], a chunk of rows at a time."""
    weight = weight.float()
    chunk = max(1, LOGITS_AT_ONCE // weight.shape[0])
    parts = []
    for rows, wanted in zip(hidden.split(chunk), targets.split(chunk), strict=True):
        logits = rows.float() @ weight.T
        parts.append(logits.logsumexp(-1) - logits.gather(1, wanted[:, None])[:, 0])
    return torch.cat(parts)


def _stepped_nats(
    model: LanguageModel, ids: Int[Tensor, "b t"], targets: Int[Tensor, "b t"], lengths: list[int]
) -> Float[Tensor, "b t"]:
    """The same through the protocol: rows, longest first, read in pieces; those that have ended are let go."""
    nats = torch.zeros(ids.shape, device=ids.device)
    state = model.start(len(ids))
    alive, at = len(ids), 0
    vocabulary = 0
    while at < ids.shape[1]:
        # The first piece is one token: it tells how wide the rows of log-probabilities are.
        piece = max(1, LOGITS_AT_ONCE // (alive * vocabulary)) if vocabulary else 1
        left = sum(length > at for length in lengths)
        if left < alive:
            state, alive = state.select(torch.arange(left, device=ids.device)), left
        stop = min(at + piece, ids.shape[1])
        log_probabilities, state = model.step(ids[:alive, at:stop], state)
        vocabulary = log_probabilities.shape[-1]
        nats[:alive, at:stop] = -log_probabilities.gather(2, targets[:alive, at:stop, None])[..., 0].float()
        at = stop
    return nats


def _cuts(ids: np.ndarray, tokenizer: Tokenizer, section: int) -> Iterator[int]:
    """Where sections begin, and the end. A cut that would fall inside a character moves back by a few tokens."""
    yield 0
    at = section
    while at < len(ids):
        cut = next(
            (c for c in range(at, at - 8, -1) if not tokenizer.decode(ids[c - 8 : c].tolist()).endswith("�")), at
        )
        yield cut
        at = cut + section
    yield len(ids)


def _size(text: str) -> int:
    return len(text.encode("utf-8", errors="replace"))


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
