"""Tagged words in JSON records: lists of words and tags, or a text and the spans that are marked in it."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from inkstone.text.tagged_words import Notes

WORDS = ("tokens", "words", "forms")
TAGS = ("tags", "ner_tags", "pos_tags", "upos", "labels", "label")
SPANS = ("spans", "entities", "labels", "label")
TEXTS = ("text", "sentence", "content", "文本", "句子")
BEGINS = ("start", "begin", "start_offset", "start_char")
STOPS = ("end", "stop", "end_offset", "end_char")
NAMES = ("label", "type", "tag", "entity", "entity_group")


def sentence_of_record(
    record: Mapping[str, Any],
    place: str,
    notes: Notes,
    tag_column: str | int | None,
    word_column: str | int | None,
    segmented: bool,
) -> dict[str, Any] | None:
    """`words` and `tags`, or `text` and `spans`, of a record; None where it is left out."""
    words = _first(record, (str(word_column),) if word_column else WORDS, list)
    if words is not None:
        return _of_lists(
            words, None if segmented else _first(record, _named(tag_column, TAGS), list), place, notes, segmented
        )
    text = _first(record, (str(word_column),) if word_column else TEXTS, str)
    if text is None or not text.strip():
        notes.refuse(place, "a record with neither a list of words nor a text")
        return None
    if segmented:
        return {"words": text.split()}
    spans = _first(record, _named(tag_column, SPANS), list)
    if spans is None:
        notes.refuse(place, "a record with a text but without a list of spans")
        return None
    found = [_span(span, text, place, notes) for span in spans]
    if any(span is None for span in found):
        return None
    ordered = sorted(span for span in found if span is not None)
    if any(before[1] > after[0] for before, after in pairwise(ordered)):
        notes.refuse(place, "spans that overlap; each word has one tag")
        return None
    return {"text": text, "spans": ordered}


def _named(wanted: str | int | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    return usual if wanted is None else (str(wanted),)


def _first(record: Mapping[str, Any], names: tuple[str, ...], kind: type) -> Any:
    return next((record[name] for name in names if isinstance(record.get(name), kind)), None)


def _of_lists(
    words: list[Any], tags: list[Any] | None, place: str, notes: Notes, segmented: bool
) -> dict[str, Any] | None:
    if not segmented and tags is None:
        notes.refuse(place, "a record with words but without a list of tags")
        return None
    if tags is not None and len(tags) != len(words):
        notes.refuse(place, "a record with more or fewer tags than words")
        return None
    if not all(isinstance(word, str) for word in words) or not all(isinstance(tag, str | int) for tag in tags or ()):
        notes.refuse(place, "a record whose words or tags are no strings")
        return None
    kept = [at for at, word in enumerate(words) if word.strip()]
    if len(kept) < len(words):
        notes.mend(place, "a word is empty; it is passed over")
    if not kept or (tags is not None and any(tags[at] == "" for at in kept)):
        notes.refuse(place, "a record without words, or in which a word has no tag")
        return None
    return {"words": [words[at] for at in kept], "tags": [str(tags[at]) for at in kept] if tags is not None else []}


def _span(span: Any, text: str, place: str, notes: Notes) -> tuple[int, int, str] | None:
    """Begin, stop and label; blanks at the ends are no part of it."""
    if isinstance(span, Mapping):
        begin, stop = _first(span, BEGINS, int), _first(span, STOPS, int)
        label, said = _first(span, NAMES, str), span.get("text")
    elif isinstance(span, list) and len(span) == 3:
        (begin, stop, label), said = span, None
    else:
        begin = stop = label = said = None
    if not isinstance(begin, int) or not isinstance(stop, int) or not isinstance(label, str) or not label:
        notes.refuse(place, "a span that is not {start, end, label}")
        return None
    if not 0 <= begin < stop <= len(text) or not text[begin:stop].strip():
        notes.refuse(place, "a span that is empty or leaves its text")
        return None
    if isinstance(said, str) and said != text[begin:stop]:
        notes.refuse(place, "a span whose own text is not what stands there")
        return None
    inside = text[begin:stop]
    first, last = begin + len(inside) - len(inside.lstrip()), stop - len(inside) + len(inside.rstrip())
    if (first, last) != (begin, stop):
        notes.mend(place, "a span has blanks at its ends; they are no part of it")
    return first, last, label
