"""Examples of role labelling: a sentence of words in its text, with predicates over it where they are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inkstone.errors import TextError
from inkstone.evaluation.tag_schemes import tags_of
from inkstone.tasks.tagged import Tagged, cut_example, example_of
from inkstone.tasks.understanding import Understanding
from inkstone.text.predicates import VERB, Predicate, Role, RoleSentence
from inkstone.text.role_records import Misread, sentence_of_record
from inkstone.text.tagged_words import TaggedSentence
from inkstone.text.word_cutting import Cutting

CORE = ("ARG0", "ARG1", "ARG2", "ARG3", "ARG4", "ARG5", "A0", "A1", "A2", "A3", "A4", "A5")  # a predicate has each once


@dataclass(frozen=True)
class RoleExample:
    """Words with their predicates; None where these are to be found first."""

    sentence: Tagged
    predicates: tuple[Predicate, ...] | None = None
    found: bool = False  # whether the model found them itself

    @property
    def place(self) -> str:
        """File and line."""
        return self.sentence.place

    @property
    def text(self) -> str:
        """What the words stand in."""
        return self.sentence.text

    @property
    def words(self) -> tuple[str, ...]:
        """The units that have roles."""
        return self.sentence.words

    def with_predicates(self, places: Sequence[tuple[int, int]]) -> "RoleExample":
        """The same words, with predicates that stand there."""
        return replace(self, predicates=tuple(Predicate(start, stop) for start, stop in places), found=True)


def role_example(sentence: RoleSentence, cutting: Cutting, understanding: Understanding | None = None) -> RoleExample:
    """The example that a sentence makes; a text is cut into words, and again where a predicate or role begins or ends."""
    if sentence.words:
        tagged = example_of(TaggedSentence(sentence.place, sentence.words, text=sentence.text))
        return RoleExample(tagged, tuple(sentence.predicates))
    assert sentence.text is not None
    spans = [(each.start, each.stop) for own in sentence.predicates for each in (own, *own.roles)]
    borders = sorted({border for span in spans for border in span})
    whole = cut_example(sentence.place, sentence.text, cutting)
    places: list[tuple[int, int]] = []
    for begin, word in zip(whole.starts, whole.words, strict=True):
        stop = begin + len(word)
        inside = [border for border in borders if begin < border < stop]
        if inside and understanding is not None:
            understanding.mend(sentence.place, "a predicate or role begins or ends inside a word, which is cut there")
        places += zip([begin, *inside], [*inside, stop], strict=True)
    words = tuple(sentence.text[begin:stop] for begin, stop in places)
    tagged = Tagged(sentence.place, words, sentence.text, tuple(begin for begin, _ in places), (), True)

    def counted(start: int, stop: int) -> tuple[int, int]:
        inside = [number for number, (begin, end) in enumerate(places) if begin < stop and end > start]
        if not inside:
            raise Misread("a predicate or role where no word stands")
        return inside[0], inside[-1] + 1

    predicates = []
    for own in sentence.predicates:
        roles = tuple(Role(*counted(role.start, role.stop), role.label) for role in own.roles)
        predicates.append(Predicate(*counted(own.start, own.stop), roles, own.sense))
    return RoleExample(tagged, tuple(predicates))


def asked_example(given: Any, place: str, cutting: Cutting, word_column: str | int | None = None) -> RoleExample:
    """The example of a text, a list of words, or a record with one of them, which may say its predicates."""
    try:
        if isinstance(given, Mapping):
            example = role_example(sentence_of_record(given, place, word_column), cutting)
            return example if example.predicates else replace(example, predicates=None)
        if isinstance(given, list | tuple) and given and all(isinstance(word, str) and word.strip() for word in given):
            return RoleExample(example_of(TaggedSentence(place, list(given))))
        if isinstance(given, str):
            return RoleExample(cut_example(place, given, cutting))
    except Misread as error:
        raise TextError(f"{place}: {error}") from None
    raise TextError(f"{place}: {given!r} is no text, no list of words, and no record with one of them")


def learned_roles(predicate: Predicate) -> list[Role]:
    """The roles that tags can tell: of those that overlap the longest, and none of the predicate's own words."""
    kept: list[Role] = []
    taken = [(predicate.start, predicate.stop)]
    for role in sorted(predicate.roles, key=lambda role: role.start - role.stop):
        if all(role.stop <= start or stop <= role.start for start, stop in taken):
            kept.append(role)
            taken.append((role.start, role.stop))
    return sorted(kept)


def role_tags(predicate: Predicate, words: int) -> list[str]:
    """BIO of the roles of one predicate."""
    return tags_of(learned_roles(predicate), words)


def predicate_tags(predicates: Sequence[Predicate], words: int) -> list[str]:
    """BIO of the predicates of a sentence, all with the label V; of those that overlap the first."""
    spans: list[tuple[int, int, str]] = []
    for each in sorted(predicates, key=lambda own: own.start):
        if not spans or spans[-1][1] <= each.start:
            spans.append((each.start, each.stop, VERB))
    return tags_of(spans, words)
