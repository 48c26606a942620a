"""Examples of tagging: words with their tags and where they stand in their text, whatever the file had.

Spans are learned in one scheme, BIO: IOB1 and BIOES are translated, and tags that break their scheme are read as the
conlleval script reads them, with a notice. Segmentation learns B, M, E, S of characters.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.errors import RecipeError, TextError, nearest
from inkstone.evaluation.tag_schemes import SCHEMES, Span, scheme_faults, scheme_of, spans_of, tags_of
from inkstone.tasks.understanding import Understanding
from inkstone.text.tag_columns import SCHEME_TAG
from inkstone.text.tag_tables import in_columns, read_tagged
from inkstone.text.tagged_words import TaggedSentence
from inkstone.text.word_cutting import Cutting, joined, placed

NONE, AUTO = "none", "auto"
MOSTLY = 0.95  # of the tags must be those of a scheme
MOST_TAGS = (200, 0.1)  # different ones, and as a share of the words: more are no tags


@dataclass(frozen=True)
class Tagged:
    """Units in their text; no tags where they are asked for."""

    place: str
    words: tuple[str, ...]
    text: str
    starts: tuple[int, ...]  # of each word in the text
    tags: tuple[str, ...] = ()
    given_text: bool = False  # whether the text is a person's own, whose places mean something to them

    def piece(self, word: int) -> str:
        """A word, after a blank if one stands before it."""
        start = self.starts[word]
        return (" " if start and self.text[start - 1].isspace() else "") + self.words[word]


def chosen_scheme(wanted: str, sentences: Sequence[TaggedSentence]) -> str:
    """The scheme of these tags: the one that is asked for, or the one that they show; `NONE` where each stands by itself.

    Raises RecipeError for one that does not exist, TextError for what cannot be tags.
    """
    if wanted not in (AUTO, NONE, *SCHEMES):
        raise RecipeError(f"task.scheme = {wanted!r}; {nearest(wanted, (AUTO, NONE, *SCHEMES))}")
    tags = [tag for sentence in sentences for tag in sentence.tags]
    different = len(set(tags))
    if different > max(MOST_TAGS[0], MOST_TAGS[1] * len(tags)):
        raise TextError(
            f"{sentences[0].place}: {different:,} different tags for {len(tags):,} words; this is no column of tags. Name "
            "another one with --set task.tag_column=NAME"
        )
    if wanted != AUTO:
        return wanted
    if any(sentence.spans is not None for sentence in sentences):
        return "BIO"
    valid = sum(SCHEME_TAG.fullmatch(tag) is not None for tag in tags)
    if valid < max(1, MOSTLY * len(tags)) or not any(tag != "O" and SCHEME_TAG.fullmatch(tag) for tag in tags):
        return NONE
    return scheme_of([s.tags for s in sentences if all(SCHEME_TAG.fullmatch(tag) for tag in s.tags)])


def tagged_examples(
    sentences: Iterable[TaggedSentence], scheme: str, cutting: Cutting, understanding: Understanding
) -> Iterator[Tagged]:
    """The examples that sentences make; what is mended or left out goes into `understanding`."""
    for sentence in sentences:
        if sentence.spans is not None:
            example = _of_spans(sentence, cutting, understanding)
            if example is None:
                understanding.refuse(sentence.place, "a span begins or ends where no word stands")
            else:
                yield example
        elif scheme == NONE:
            yield example_of(sentence, tuple(sentence.tags))
        else:
            unknown = next((at for at, tag in enumerate(sentence.tags) if not SCHEME_TAG.fullmatch(tag)), None)
            if unknown is not None:
                understanding.refuse(
                    sentence.place_of(unknown),
                    f"a sentence with {sentence.tags[unknown]!r}, which is no tag of {scheme}",
                )
                continue
            yield example_of(sentence, _in_bio(sentence, scheme, understanding))


def segmented_example(sentence: TaggedSentence) -> Tagged:
    """The characters of a sentence's words, each with its place in its word: B first, M inside, E last, S alone."""
    text, starts = _in_text(sentence)
    characters: list[str] = []
    places: list[int] = []
    tags: list[str] = []
    for word, start in zip(sentence.words, starts, strict=True):
        own = [(start + at, character) for at, character in enumerate(word) if not character.isspace()]
        places += [at for at, _ in own]
        characters += [character for _, character in own]
        tags += ["S"] if len(own) == 1 else ["B", *"M" * (len(own) - 2), "E"][: len(own)]
    return Tagged(sentence.place, tuple(characters), text, tuple(places), tuple(tags), sentence.text is not None)


def example_of(sentence: TaggedSentence, tags: tuple[str, ...] = ()) -> Tagged:
    """A sentence with these tags."""
    text, starts = _in_text(sentence)
    return Tagged(sentence.place, tuple(sentence.words), text, tuple(starts), tags, sentence.text is not None)


def cut_example(place: str, text: str, cutting: Cutting) -> Tagged:
    """A text without tags, cut into the units of a tagger."""
    found = cutting.places(text)
    words = tuple(text[begin:stop] for begin, stop in found)
    return Tagged(place, words, text, tuple(begin for begin, _ in found), (), True)


def words_in_columns(file: str | Path) -> list[dict[str, Any]] | None:
    """The sentences of CoNLL-U or columns as records of tokens, told by the name of the file; None for others.

    Raises TextError where a sentence cannot be read: each must have its answer.
    """
    if not in_columns(file):
        return None
    understanding = Understanding("inputs", [str(file)])
    sentences = list(read_tagged([file], understanding, segmented=True))
    if understanding.refused:
        raise TextError("; ".join(understanding.faults()))
    return [{"tokens": s.words} | ({} if s.text is None else {"text": s.text}) for s in sentences]


def words_of(example: Tagged, tags: Sequence[str]) -> list[Span]:
    """The words that tags of characters come to, as first and last character in the text; a blank parts words, too."""
    found = []
    for first, stop, _ in spans_of(tags, "BIOES"):
        begin = example.starts[first]
        for at in range(first + 1, stop):
            if example.starts[at] != example.starts[at - 1] + len(example.words[at - 1]):
                found.append(Span(begin, example.starts[at - 1] + len(example.words[at - 1]), ""))
                begin = example.starts[at]
        found.append(Span(begin, example.starts[stop - 1] + len(example.words[stop - 1]), ""))
    return found


def _in_text(sentence: TaggedSentence) -> tuple[str, list[int]]:
    """The text of a sentence and where its words begin: its own, if they stand there, else the words put together."""
    if sentence.text is not None:
        starts = placed(sentence.words, sentence.text)
        if starts is not None:
            return sentence.text, starts
    return joined(sentence.words)


def _in_bio(sentence: TaggedSentence, scheme: str, understanding: Understanding) -> tuple[str, ...]:
    faults = scheme_faults(sentence.tags, scheme)
    for fault in faults:
        understanding.mend(
            sentence.place_of(fault.at), f"{fault.tag} breaks {scheme}; it is read as part of a span all the same"
        )
    return tuple(tags_of(spans_of(sentence.tags, scheme, strict=not faults), len(sentence.tags)))


def _of_spans(sentence: TaggedSentence, cutting: Cutting, understanding: Understanding) -> Tagged | None:
    """A text with spans as words with tags; a word that a span begins or ends in is cut there."""
    assert sentence.text is not None and sentence.spans is not None
    text, borders = sentence.text, {border for begin, stop, _ in sentence.spans for border in (begin, stop)}
    places: list[tuple[int, int]] = []
    for begin, stop in cutting.places(text):
        inside = sorted(border for border in borders if begin < border < stop)
        if inside:
            understanding.mend(sentence.place, "a span begins or ends inside a word, which is cut there")
        places += zip([begin, *inside], [*inside, stop], strict=True)
    number = {begin: at for at, (begin, _) in enumerate(places)}
    last = {stop: at for at, (_, stop) in enumerate(places)}
    if any(begin not in number or stop not in last for begin, stop, _ in sentence.spans):
        return None
    spans = [(number[begin], last[stop] + 1, label) for begin, stop, label in sentence.spans]
    words = tuple(text[begin:stop] for begin, stop in places)
    starts = tuple(begin for begin, _ in places)
    return Tagged(sentence.place, words, text, starts, tuple(tags_of(spans, len(words))), True)
