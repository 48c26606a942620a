"""Connectionist temporal classification: the text behind a row of frames, each of which says a token or the blank.

A path names one token or the blank for each frame; a text is what is left of a path once tokens that stand side by side are made one
and blanks are taken out. p(text) is the sum over all its paths of Π_t p_t(path_t).

Greedy search takes the likeliest path. Prefix beam search adds up the paths of beginnings of texts, those that end in the blank and
those that do not: a token that comes twice must have a blank between. With a language model beginnings are compared by

    log p_ctc(text) + α log p_language(text) + β · words(text)

Source: Graves et al. 2006; Hannun, Maas, Jurafsky & Ng 2014, algorithm 1.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.inference.language_fusion import LanguageFusion
from inkstone.inference.sampling import SamplingError
from inkstone.text.spoken import begins_word

NEVER = -math.inf
UNLIKELY = -9.0  # nats: a token that is less likely at a frame is not looked at there
MOST_TOKENS = 24  # looked at, at a frame
SWEPT = 64  # frames, after which beginnings are let go of that nothing under way goes on from


@dataclass(frozen=True)
class Heard:
    """A text that was found."""

    ids: tuple[int, ...]
    log_chance: float  # of the text, given the sound; of a greedy one that of its path
    language: float = 0.0  # log-probability as language, its end included
    words: int = 0
    score: float = 0.0  # by which it was chosen


@dataclass(eq=False)
class _Prefix:
    """A beginning of a text. The words that are over are what the language model has been asked about."""

    token: int
    before: "_Prefix | None"
    over: tuple[str, ...] = ()
    under_way: str = ""
    spelled: bytes = b""  # of a character that is not whole yet
    worth: float = 0.0
    following: "dict[int, _Prefix]" = field(default_factory=dict)

    def ids(self) -> tuple[int, ...]:
        found, at = [], self
        while at.before is not None:
            found.append(at.token)
            at = at.before
        return tuple(reversed(found))


def greedy(log_probabilities: Float[np.ndarray, "t v"], blank: int) -> Heard:
    """The text of the likeliest path."""
    path = log_probabilities.argmax(axis=1)
    new = np.ones(len(path), dtype=bool)
    new[1:] = path[1:] != path[:-1]
    total = float(log_probabilities.max(axis=1).astype(np.float64).sum()) if len(path) else 0.0
    return Heard(tuple(path[new & (path != blank)].tolist()), total, score=total)


def prefix_beam_search(
    log_probabilities: Float[np.ndarray, "t v"],
    blank: int,
    beams: int,
    *,
    tokenizer: Any = None,
    fusion: LanguageFusion | None = None,
    unlikely: float = UNLIKELY,
    most_tokens: int = MOST_TOKENS,
) -> list[Heard]:
    """The best texts found, the best first, with `beams` beginnings under way at a time.

    Without `fusion` their order is that of log p_ctc. With it, `tokenizer` says how the tokens of the frames are spelled.
    Tokens less likely at a frame than `unlikely`, and more than `most_tokens` of them, are left out there; with both and the beams
    without bound the search is exact.
    """
    if beams < 1:
        raise SamplingError(f"beams = {beams}, but must be at least 1")
    spelling = None if fusion is None else tokenizer.spelling
    root = _Prefix(blank, None)
    live: dict[_Prefix, tuple[float, float]] = {root: (0.0, NEVER)}  # log p of paths that end in the blank, in a token
    for number, row in enumerate(log_probabilities, 1):
        tokens = _looked_at(row, blank, unlikely, most_tokens)
        silent = float(row[blank])
        grown: dict[_Prefix, tuple[float, float]] = {}
        for prefix, (blanks, spoken) in live.items():
            both = _added(blanks, spoken)
            old = grown.get(prefix, (NEVER, NEVER))
            stays = spoken + float(row[prefix.token]) if prefix is not root else NEVER
            grown[prefix] = (_added(old[0], both + silent), _added(old[1], stays))
            for token, chance in tokens:
                begun = (blanks if token == prefix.token and prefix is not root else both) + chance
                if begun == NEVER:
                    continue
                next_one = prefix.following.get(token)
                if next_one is None:
                    next_one = prefix.following[token] = _grown(prefix, token, spelling, fusion)
                old = grown.get(next_one, (NEVER, NEVER))
                grown[next_one] = (old[0], _added(old[1], begun))
        if len(grown) > beams:
            best = sorted(grown, key=lambda prefix: -(_added(*grown[prefix]) + prefix.worth))[:beams]
            grown = {prefix: grown[prefix] for prefix in best}
        live = grown
        if number % SWEPT == 0:
            _sweep(live)
    found = [_heard(prefix, _added(*chances), fusion) for prefix, chances in live.items()]
    return sorted(found, key=lambda heard: -heard.score)


def _sweep(live: Collection[_Prefix]) -> None:
    """Forget all beginnings but those that are live and those that they go on from: else a long recording fills the memory."""
    kept: set[_Prefix] = set()
    for prefix in live:
        at: _Prefix | None = prefix
        while at is not None and at not in kept:
            kept.add(at)
            at = at.before
    for prefix in kept:
        prefix.following = {token: each for token, each in prefix.following.items() if each in kept}


def _looked_at(
    row: Float[np.ndarray, " v"], blank: int, unlikely: float, most_tokens: int
) -> Sequence[tuple[int, float]]:
    chosen = np.flatnonzero(row > unlikely)
    if len(chosen) > most_tokens:
        chosen = chosen[np.argsort(-row[chosen], kind="stable")[:most_tokens]]
    return [(int(token), float(row[token])) for token in chosen if token != blank]


def _grown(prefix: _Prefix, token: int, spelling: list[bytes] | None, fusion: LanguageFusion | None) -> _Prefix:
    """The beginning with one more token; a word that is over by it is asked about."""
    if fusion is None or spelling is None:
        return _Prefix(token, prefix)
    spelled, over, under_way = prefix.spelled + spelling[token], prefix.over, prefix.under_way
    try:
        text, spelled = spelled.decode("utf-8"), b""
    except UnicodeDecodeError as error:
        text, spelled = (
            ("", spelled) if error.reason == "unexpected end of data" else (spelled.decode("utf-8", "replace"), b"")
        )
    for character in text:
        if character == " " and not under_way and not over:  # the first word has none before it
            continue
        if under_way and begins_word(under_way, character):
            over, under_way = (*over, under_way), character
        else:
            under_way += character
    worth = prefix.worth if over is prefix.over else fusion.worth(over)
    return _Prefix(token, prefix, over, under_way, spelled, worth)


def _heard(prefix: _Prefix, chance: float, fusion: LanguageFusion | None) -> Heard:
    if fusion is None:
        return Heard(prefix.ids(), chance, score=chance)
    words = prefix.over + ((prefix.under_way,) if prefix.under_way.strip() else ())
    language = fusion.log_chance(words, ended=True)
    score = chance + fusion.alpha * language + fusion.beta * len(words)
    return Heard(prefix.ids(), chance, language, len(words), score)


def _added(one: float, other: float) -> float:
    """log(eᵃ + eᵇ)."""
    if one < other:
        one, other = other, one
    return one if other == NEVER else one + math.log1p(math.exp(other - one))
