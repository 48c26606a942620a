"""Semantic roles in JSON records: predicates over a list of tokens or over a text, or a list of tags for each verb."""

from collections.abc import Mapping
from typing import Any

from inkstone.text.predicates import VERB, Predicate, Role, RoleSentence
from inkstone.text.tag_records import BEGINS, NAMES, STOPS, TEXTS, WORDS
from inkstone.text.tagged_words import Notes

PREDICATES = ("predicates", "verbs", "frames")
ROLES = ("roles", "arguments", "args")


class Misread(Exception):
    """Why a record cannot be read."""


def roles_of_record(
    record: Mapping[str, Any], place: str, notes: Notes, word_column: str | int | None
) -> RoleSentence | None:
    """The sentence of a record; None where it is left out, which is noted."""
    try:
        sentence = sentence_of_record(record, place, word_column)
        if not any(isinstance(record.get(name), list) for name in PREDICATES):
            raise Misread("a record without a list of predicates")
    except Misread as error:
        notes.refuse(place, str(error))
        return None
    return sentence


def sentence_of_record(record: Mapping[str, Any], place: str, word_column: str | int | None = None) -> RoleSentence:
    """Words or text of a record with its predicates, of which it may have none. Raises Misread for one that is none."""
    names = (str(word_column),) if word_column else WORDS
    words = next((record[name] for name in names if isinstance(record.get(name), list)), None)
    texts = (str(word_column),) if word_column else TEXTS
    text = next((record[name] for name in texts if isinstance(record.get(name), str)), None)
    if words is not None:
        if not words or not all(isinstance(word, str) and word.strip() for word in words):
            raise Misread("a record whose words are no strings, or empty")
    elif text is None or not text.strip():
        raise Misread("a record with neither a list of words nor a text")
    told = next((record[name] for name in PREDICATES if isinstance(record.get(name), list)), [])
    length = len(words) if words is not None else len(text or "")
    predicates = [_predicate(each, length, by_words=words is not None) for each in told]
    return RoleSentence(place, list(words or ()), predicates, text)


def _predicate(told: Any, length: int, by_words: bool) -> Predicate:
    if not isinstance(told, Mapping):
        raise Misread("a predicate that is no object with its place and its roles")
    sense = told.get("sense")
    sense = sense if isinstance(sense, str) else None
    if by_words and isinstance(told.get("tags"), list):
        return _of_tags(told["tags"], length, sense)
    start, stop = _place(told, length, by_words)
    roles = next((told[name] for name in ROLES if isinstance(told.get(name), list)), [])
    spans = []
    for role in roles:
        label = (
            next((role[name] for name in NAMES if isinstance(role.get(name), str)), "")
            if isinstance(role, Mapping)
            else ""
        )
        if not label:
            raise Misread("a role that is no object with its place and its label")
        spans.append(Role(*_place(role, length, by_words), label))
    return Predicate(start, stop, tuple(sorted(span for span in spans if span.label != VERB)), sense)


def _of_tags(tags: list[Any], length: int, sense: str | None) -> Predicate:
    """A predicate with a tag of BIO for each word, B-V where it stands itself."""
    if len(tags) != length:
        raise Misread("a predicate with more or fewer tags than words")
    spans: list[Role] = []
    for at, tag in enumerate(tags):
        letter, _, label = str(tag).partition("-")
        if letter == "I" and spans and spans[-1].stop == at and spans[-1].label == label:
            spans[-1] = spans[-1]._replace(stop=at + 1)
        elif letter == "B" and label:
            spans.append(Role(at, at + 1, label))
        elif tag != "O":
            raise Misread(f"a predicate with the tag {tag!r} where BIO has none")
    own = next((span for span in spans if span.label == VERB), None)
    if own is None:
        raise Misread("a predicate without B-V among its tags, which says where it stands")
    return Predicate(own.start, own.stop, tuple(span for span in spans if span.label != VERB), sense)


def _place(told: Mapping[str, Any], length: int, by_words: bool) -> tuple[int, int]:
    """First and stop: of words as `tokens`, [first, stop] or one number, of a text as start and end in characters."""
    if by_words:
        found = told.get("tokens", told.get("token"))
        found = [found, found + 1] if isinstance(found, int) else found
    else:
        found = [next((told[name] for name in names if name in told), None) for names in (BEGINS, STOPS)]
    match found:
        case [int(start), int(stop)]:
            pass
        case _:
            wanted = '"tokens": [first, stop]' if by_words else '"start" and "end"'
            raise Misread(f"a predicate or role without its place, {wanted}")
    if not 0 <= start < stop <= length:
        raise Misread("a predicate or role that is empty or leaves its sentence")
    return start, stop
