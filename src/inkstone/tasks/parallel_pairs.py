"""Parallel text as pairs to learn translation from: which language a side is in, and which pairs cannot be what they claim.

| what is found | what happens |
|---|---|
| an empty side, the same text on both | left out |
| one side far longer than the other, next to what is usual | left out |
| sides that are swapped, in a row or throughout | swapped back |
| both sides in one language | left out |
| as many lines on both sides, more than one | pairs of lines |

A row is suspected by its words, which the pairs themselves say to belong to one side or the other (a naive Bayes classifier,
Σ log p(word | side)); whether the suspicion holds, the check of languages says (`text/language.py`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from inkstone.errors import TextError
from inkstone.tasks.understanding import Understanding, languages_of
from inkstone.tasks.written import Pair
from inkstone.text.parallel import Parallel

SAMPLE = 300  # texts of a side that its language is told by
SAMPLE_CHARACTERS = 600
MOST_RATIO = 5.0  # times what is usual that one side may be longer than the other
SLACK = 8.0  # characters that are added to both sides before: short texts differ for many reasons
COPIED = 3  # words, from which on two sides that are the same cannot be a translation
SURE = 2.0  # nats for the other side, from which on a row is suspected
_HAN = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # characters that are taken one by one
_WORD = re.compile(rf"[{_HAN}]|[^\W\d_{_HAN}]+")
LOOKED_AT = 300  # characters of a side whose words are weighed


@dataclass(frozen=True)
class Translated(Pair):
    """A text and its translation: the language of each, as far as it is known."""

    language: str | None = None  # of the source
    to: str | None = None
    made: bool = False  # the source was translated from the target by a model

    @property
    def direction(self) -> tuple[str, str]:
        """Both languages."""
        return self.language or "", self.to or ""

    def turned(self) -> "Translated":
        """The other way around."""
        return replace(self, source=self.targets[0], targets=(self.source,), language=self.to, to=self.language)


def pairs_of(rows: Sequence[Parallel], understanding: Understanding) -> list[Translated]:
    """The pairs of rows, each from the first side to one of the others, checked; what is doubtful goes into `understanding`.

    Raises TextError where a language cannot be told.
    """
    found: list[Translated] = []
    for group in _by_languages(rows).values():
        languages = _languages(group, understanding)
        for at in range(1, len(languages)):
            pairs = [
                Translated(
                    row.place,
                    row.sides[0][1].strip(),
                    (row.sides[at][1].strip(),),
                    row.place,
                    languages[0],
                    languages[at],
                )
                for row in group
            ]
            pairs = [part for pair in pairs for part in _lines(pair, understanding)]
            found += _of_like_length(_one_language_a_side(_filled(pairs, understanding), understanding), understanding)
    return found


def _by_languages(rows: Sequence[Parallel]) -> dict[tuple[str, ...], list[Parallel]]:
    """Rows of one file, or pair of files, with the same languages."""
    groups: dict[tuple[str, ...], list[Parallel]] = {}
    for row in rows:
        key = (row.place.rpartition(":")[0], *(language or "" for language, _ in row.sides))
        groups.setdefault(key, []).append(row)
    return groups


def _languages(group: Sequence[Parallel], understanding: Understanding) -> list[str]:
    """The language of each side: as it is called, or as it looks. Where names and looks are crosswise, looks count."""
    named = [language for language, _ in group[0].sides]
    looks = [_language([row.sides[at][1] for row in group]) for at in range(len(named))]
    where = group[0].place.rpartition(":")[0]
    if len(named) == 2 and None not in named and named[0] != named[1] and looks == named[::-1]:
        understanding.notices.append(
            f"{where}: the names of the languages are swapped; the texts are {' and '.join(looks)}"
        )
        return looks
    for name, look in zip(named, looks, strict=True):
        if name is not None and name != look and look != "und":
            understanding.notices.append(
                f"{where}: texts that are called {name} look like {look}; they are read as {name}"
            )
    found = [name or look for name, look in zip(named, looks, strict=True)]
    if "und" in found:
        raise TextError(
            f"{where}: the language of a side cannot be told; name the file or column by it, as in train.en or de"
        )
    return found


def _language(texts: Sequence[str]) -> str:
    """The language that most of a sample's characters are in."""
    sample = [text for text in texts[:: max(1, len(texts) // SAMPLE)] if text.strip()][:SAMPLE]
    stretches = [" ".join(sample[at : at + 20])[:SAMPLE_CHARACTERS] for at in range(0, len(sample), 20)]
    found = Counter(language for language in languages_of(stretches) if language != "und")
    return found.most_common(1)[0][0] if found else "und"


def _lines(pair: Translated, understanding: Understanding) -> Iterator[Translated]:
    """A document as pairs of its lines, where both sides have as many; else itself."""
    first, second = (
        [line.strip() for line in text.split("\n") if line.strip()] for text in (pair.source, pair.targets[0])
    )
    if len(first) == len(second) > 1:
        understanding.mend(pair.place, "both sides have as many lines; they are read as pairs of lines")
        yield from (replace(pair, source=a, targets=(b,)) for a, b in zip(first, second, strict=True))
    else:
        yield pair


def _filled(pairs: Sequence[Translated], understanding: Understanding) -> list[Translated]:
    """Those with a text on both sides that is not the same."""
    kept = []
    for pair in pairs:
        source, target = pair.source, pair.targets[0]
        if not source or not target:
            side = (
                "both sides are"
                if not source and not target
                else f"the side in {pair.language if not source else pair.to} is"
            )
            understanding.refuse(pair.place, f"{side} empty")
        elif source == target and pair.language != pair.to and len(_WORD.findall(source)) >= COPIED:
            understanding.refuse(pair.place, "both sides are the same text")
        else:
            kept.append(pair)
    return kept


def _of_like_length(pairs: Sequence[Translated], understanding: Understanding) -> list[Translated]:
    """Those of which no side is far longer than the other, next to the median of all."""
    if not pairs:
        return []
    ratios = sorted((len(pair.targets[0]) + 1) / (len(pair.source) + 1) for pair in pairs)
    usual = ratios[len(ratios) // 2]
    kept = []
    for pair in pairs:
        first, second = len(pair.source) * math.sqrt(usual) + SLACK, len(pair.targets[0]) / math.sqrt(usual) + SLACK
        if max(first / second, second / first) > MOST_RATIO:
            longer = pair.language if first > second else pair.to
            understanding.refuse(
                pair.place, f"the side in {longer} is more than {MOST_RATIO:g} times too long for the other"
            )
        else:
            kept.append(pair)
    return kept


def _one_language_a_side(pairs: Sequence[Translated], understanding: Understanding) -> list[Translated]:
    """Swapped pairs the right way around; without those whose sides are in one language."""
    if not pairs or pairs[0].language == pairs[0].to:
        return list(pairs)
    words = [(_words(pair.source), _words(pair.targets[0])) for pair in pairs]
    weights = _weights(words)
    for_target = [tuple(sum(weights.get(word, 0.0) for word in side) for side in sides) for sides in words]
    suspected = [n for n, (source, target) in enumerate(for_target) if source > SURE or target < -SURE]
    looks = dict(zip(suspected, _looks([pairs[n] for n in suspected]), strict=True))
    kept = []
    for number, pair in enumerate(pairs):
        source, target = looks.get(number, (pair.language, pair.to))
        crossed = for_target[number][0] > 0 > for_target[number][1]
        if crossed and (source == pair.to or target == pair.language) and source != target:
            understanding.mend(pair.place, f"{pair.language} and {pair.to} are swapped; read the other way around")
            kept.append(replace(pair, source=pair.targets[0], targets=(pair.source,)))
        elif source == target in (pair.language, pair.to):
            understanding.refuse(pair.place, f"both sides are in {source}")
        else:
            kept.append(pair)
    return kept


def _looks(pairs: Sequence[Translated]) -> list[tuple[str, str]]:
    found = languages_of([text for pair in pairs for text in (pair.source, pair.targets[0])])
    return list(zip(found[::2], found[1::2], strict=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text[:LOOKED_AT].lower()))


def _weights(pairs: Sequence[tuple[frozenset[str], frozenset[str]]]) -> dict[str, float]:
    """log p(word | target) − log p(word | source), of words that stand in several pairs."""
    first = Counter(word for source, _ in pairs for word in source)
    second = Counter(word for _, target in pairs for word in target)
    return {
        word: math.log((second[word] + 0.5) / (first[word] + 0.5))
        for word in first.keys() | second.keys()
        if first[word] + second[word] > 2
    }
