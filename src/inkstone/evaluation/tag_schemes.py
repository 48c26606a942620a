"""Spans as tags of words, and back: BIO (IOB2), IOB1 and BIOES.

| scheme | a span of label X | source |
|---|---|---|
| BIO (IOB2) | B-X I-X I-X | Ratnaparkhi 1998; CoNLL-2000 |
| IOB1 | I-X I-X I-X, and B-X first where a span of the same label stands directly before | Ramshaw and Marcus 1995; CoNLL-2003 |
| BIOES | B-X I-X E-X, or S-X where it is one word | Uchimoto et al. 2000 |

Everything outside is O. BIOES is also read with the letters of BILOU (L, U) and BMES (M). A stop is the place after the
last word of the span.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inkstone.errors import TextError, nearest

SCHEMES = {"BIO": "BI", "IOB1": "IB", "BIOES": "BIESLUM"}  # and the letters that each reads
SAME_LETTER = {"L": "E", "U": "S", "M": "I"}
OUTSIDE = ("O", "")


class Span(NamedTuple):
    """Words from `start` up to, not including, `stop`, with their label."""

    start: int
    stop: int
    label: str


class Fault(NamedTuple):
    """A tag that cannot stand where it stands."""

    at: int
    tag: str
    reason: str


def spans_of(tags: Sequence[str], scheme: str = "BIO", *, strict: bool = True) -> list[Span]:
    """The spans of a sentence's tags, from left to right.

    Strict, words whose tags do not make a whole span of the scheme are none: an I-X without its B-X in BIO, a B-X without
    its E-X in BIOES. Not strict, the scheme is ignored and each run of words is read as the conlleval script of
    CoNLL-2000 does: a span begins at B, S, at a change of label, and at any tag after O, E or S; it goes on up to the
    next beginning, O, or past E or S. Raises TextError for what is no tag (of the scheme, if strict).

    >>> tags = ["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]
    >>> spans_of(tags)
    [Span(start=0, stop=2, label='PER'), Span(start=4, stop=5, label='LOC')]
    >>> len(spans_of(tags, strict=False))
    3
    """
    parts = [_parts(tag, at, scheme if strict else "BIOES") for at, tag in enumerate(tags)]
    if not strict:
        return _runs(parts)
    return _bioes(parts) if scheme == "BIOES" else _bio(parts, scheme)


def tags_of(spans: Iterable[tuple[int, int, str]], length: int, scheme: str = "BIO") -> list[str]:
    """The tags of a sentence of `length` words. Raises TextError for spans that are empty, overlap or leave the sentence.

    >>> tags_of([(0, 2, "PER"), (2, 3, "PER")], 4, "IOB1"), tags_of([(0, 2, "PER"), (2, 3, "PER")], 4, "BIOES")
    (['I-PER', 'I-PER', 'B-PER', 'O'], ['B-PER', 'E-PER', 'S-PER', 'O'])
    """
    _known(scheme)
    tags, before = ["O"] * length, Span(0, 0, "")
    for span in sorted(Span(*span) for span in spans):
        if not before.stop <= span.start < span.stop <= length:
            raise TextError(
                f"the span {span.start} … {span.stop} ({span.label}) cannot be told by tags: it is empty, overlaps the "
                f"one before it (… {before.stop}) or leaves the sentence of {length} words"
            )
        letters = ["B", *"I" * (span.stop - span.start - 1)]
        if scheme == "IOB1" and not (before.start < before.stop == span.start and before.label == span.label):
            letters[0] = "I"
        if scheme == "BIOES":
            letters[-1] = "S" if len(letters) == 1 else "E"
        tags[span.start : span.stop] = [f"{letter}-{span.label}" if span.label else letter for letter in letters]
        before = span
    return tags


def scheme_faults(tags: Sequence[str], scheme: str = "BIO") -> list[Fault]:
    """Every tag of a sentence that breaks the scheme, with the reason; an empty list where it holds.

    >>> scheme_faults(["O", "I-PER"])
    [Fault(at=1, tag='I-PER', reason='I-PER after O: in BIO it goes on only after B-PER or I-PER')]
    """
    _known(scheme)
    faults, read = [], []
    for at, tag in enumerate(tags):
        try:
            read.append(_parts(tag, at, scheme))
        except TextError as error:
            faults.append(Fault(at, tag, str(error)))
            read.append(OUTSIDE)
    for at, (letter, label) in enumerate(read):
        before, before_label = read[at - 1] if at else OUTSIDE
        after, after_label = read[at + 1] if at + 1 < len(read) else OUTSIDE
        where = f"{tags[at]} {f'after {tags[at - 1]}' if at else 'at the beginning'}"
        goes_on = before in "BI" and before_label == label
        if scheme == "IOB1" and letter == "B" and not goes_on:
            faults.append(Fault(at, tags[at], f"{where}: in IOB1 B stands only after a span of the same label"))
        if scheme != "IOB1" and letter in "IE" and not goes_on:
            faults.append(Fault(at, tags[at], f"{where}: in {scheme} it goes on only after B-{label} or I-{label}"))
        if scheme == "BIOES" and letter in "BI" and not (after in "IE" and after_label == label):
            then = f"before {tags[at + 1]}" if at + 1 < len(tags) else "at the end"
            faults.append(Fault(at, tags[at], f"{tags[at]} {then}: in BIOES a span ends with E-{label}, or is one S"))
    return sorted(faults, key=lambda fault: fault.at)


def scheme_of(sentences: Iterable[Sequence[str]]) -> str:
    """The scheme in which sentences are tagged: BIOES where E, S or their like occur; IOB1 where spans begin with I
    and none breaks it; else BIO."""
    sentences = list(sentences)
    letters = {tag[:1] for tags in sentences for tag in tags}
    if letters & set("ESLUM"):
        return "BIOES"
    if any(scheme_faults(tags, "BIO") for tags in sentences) and not any(
        scheme_faults(tags, "IOB1") for tags in sentences
    ):
        return "IOB1"
    return "BIO"


def _known(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise TextError(f"there is no tag scheme {scheme!r}; {nearest(scheme, SCHEMES)}")


def _parts(tag: str, at: int, scheme: str) -> tuple[str, str]:
    """Letter and label of a tag; ("O", "") outside."""
    _known(scheme)
    if tag == "O":
        return OUTSIDE
    letter, dash, label = tag.partition("-")
    if letter not in SCHEMES[scheme] or len(letter) != 1 or bool(dash) != bool(label):
        letters = ", ".join(f"{known}-LABEL" for known in SCHEMES[scheme])
        raise TextError(f"word {at + 1}: {tag!r} is no tag of {scheme}, which has O, {letters}")
    return SAME_LETTER.get(letter, letter), label


def _bio(parts: list[tuple[str, str]], scheme: str) -> list[Span]:
    spans: list[Span] = []
    inside = False  # whether the word before belongs to the last span
    for at, (letter, label) in enumerate(parts):
        before, before_label = parts[at - 1] if at else OUTSIDE
        follows = before != "O" and before_label == label
        if letter == "I" and inside and spans[-1].label == label:
            spans[-1] = spans[-1]._replace(stop=at + 1)
            continue
        # In IOB1, I begins a span wherever none goes on, and B only where one of its label stands before it.
        begins = (letter == "I" or (letter == "B" and follows)) if scheme == "IOB1" else letter == "B"
        if begins:
            spans.append(Span(at, at + 1, label))
        inside = begins
    return spans


def _bioes(parts: list[tuple[str, str]]) -> list[Span]:
    spans: list[Span] = []
    start: int | None = None  # of the span that is open
    for at, (letter, label) in enumerate(parts):
        if start is not None and not (letter in "IE" and parts[start][1] == label):
            start = None
        if letter == "S":
            spans.append(Span(at, at + 1, label))
        elif letter == "B":
            start = at
        elif letter == "E" and start is not None:
            spans.append(Span(start, at + 1, label))
            start = None
    return spans


def _runs(parts: list[tuple[str, str]]) -> list[Span]:
    spans: list[Span] = []
    before, before_label = OUTSIDE
    for at, (letter, label) in enumerate(parts):
        if letter != "O":
            if letter in "BS" or before in "OES" or before_label != label:
                spans.append(Span(at, at + 1, label))
            else:
                spans[-1] = spans[-1]._replace(stop=at + 1)
        before, before_label = letter, label
    return spans
