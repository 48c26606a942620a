"""The questions of a suite: each is a few texts to be compared by their likelihood, read from lines of JSON.

    {"sentence_good": ..., "sentence_bad": ...}              a minimal pair: which sentence is likelier?
    {"query": ..., "choices": [...], "gold": 1}              which choice is likelier after the query?
    {"context_options": [...], "continuation": ..., "gold": 0}   after which context is the continuation likelier?
    {"text": ...}                                            is the last word foreseen?

Between a context and what follows it stands a blank, unless one stands there already, what follows begins with
punctuation, or one of the two sides is written without blanks, as Chinese is.
"""

import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import regex

from inkstone.errors import TextError, nearest
from inkstone.text import datasets

Kind = Literal["pairs", "choices", "contexts", "last word"]
KEYS: dict[Kind, tuple[str, ...]] = {
    "pairs": ("sentence_good", "sentence_bad"),
    "choices": ("query", "choices", "gold"),
    "contexts": ("context_options", "continuation", "gold"),
    "last word": ("text",),
}
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\u3000-\u303f\uff00-\uffef]"
JOINED = regex.compile(rf"^$|\s$|{UNSPACED}$")  # a context after which no blank is wanted
JOINING = regex.compile(
    rf"\s|{UNSPACED}|[.,;:!?)\]}}’”…%]|'(s|t|re|ve|ll|d|m)\b|n't\b"
)  # what wants no blank before it

Record = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """A question: (context, continuation) of each option, what lengths are taken of, and which option is right.

    The context of a sentence that is judged as a whole is empty.
    """

    kind: Kind
    options: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]  # the options without what joins them to the context
    gold: int
    paradigm: str = ""  # of BLiMP: what the pair tests
    field: str = ""  # the branch of grammar that the paradigm belongs to


def read_items(source: str, prepare: Callable[[Record], Record] = lambda record: record) -> list[Item]:
    """The items of a file of JSON lines, `data:NAME/FILE` or a path; `.xz` is unpacked.

    prepare: turns a record of the file into one of the four forms.

    Raises TextError with the line of what is none of the forms, or of another than the first line.
    """
    items: list[Item] = []
    for place, record in _records(source):
        try:
            prepared = prepare(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TextError(f"{place}: not a record of this suite: {json.dumps(record)[:100]}") from None
        try:
            item = item_of(prepared)
        except TextError as error:
            raise TextError(f"{place}: {error}") from None
        if items and item.kind != items[0].kind:
            raise TextError(
                f"{place}: an item of the kind {item.kind!r} among {items[0].kind!r}; give each kind a file"
            )
        items.append(item)
    if not items:
        raise TextError(f"{source}: holds no items")
    return items


def item_of(record: Record) -> Item:
    """The item of a record in one of the four forms. Raises TextError, which says what is wrong with another."""
    kind: Kind | None = next((kind for kind, keys in KEYS.items() if all(key in record for key in keys)), None)
    if kind is None:
        known = sorted({key for keys in KEYS.values() for key in keys})
        hints = "".join(f"; {key!r}: {nearest(key, known)}" for key in list(record)[:1])
        forms = " or ".join("{" + ", ".join(keys) + "}" for keys in KEYS.values())
        raise TextError(f"an item has the keys {forms}, this one {', '.join(record) or 'none'}{hints}")
    if kind == "pairs":
        sentences = _texts([record["sentence_good"], record["sentence_bad"]], "sentence_good and sentence_bad")
        names = (str(record.get("UID", "")), str(record.get("field", "")))
        return Item(kind, tuple(("", sentence) for sentence in sentences), sentences, 0, *names)
    if kind == "last word":
        (text,) = _texts([record["text"]], "text")
        before, blank, word = text.rpartition(" ")
        if not before or not word:
            raise TextError(f"'text' has no word to be foreseen after a blank: {text[:40]!r}")
        return Item(kind, ((before, blank + word),), (word,), 0)
    if kind == "choices":
        (query,) = _texts([record["query"]], "query", empty=True)
        choices = _texts(record["choices"], "choices")
        options = tuple(joined(query, choice) for choice in choices)
    else:
        contexts = _texts(record["context_options"], "context_options")
        (continuation,) = choices = _texts([record["continuation"]], "continuation")
        options = tuple(joined(context, continuation) for context in contexts)
    gold = record["gold"]
    if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(options):
        raise TextError(f"'gold' is {gold!r}, but must number one of the {len(options)} options, counted from 0")
    if len(options) < 2:
        raise TextError("an item needs at least two options to choose from")
    return Item(kind, options, choices, gold)


def joined(context: str, continuation: str) -> tuple[str, str]:
    """A context and what follows it, with the blank between them where one is wanted.

    >>> joined("The man retired, so", "he slept."), joined("天空是", "蓝色的")
    (('The man retired, so', ' he slept.'), ('天空是', '蓝色的'))
    """
    blank = not JOINED.search(context) and not JOINING.match(continuation)
    return context, " " + continuation if blank else continuation


def _texts(values: Any, name: str, empty: bool = False) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TextError(f"{name!r} must be text, but is {json.dumps(values, ensure_ascii=False)[:80]}")
    if not empty and not all(value.strip() for value in values):
        raise TextError(f"{name!r} holds an empty text")
    return tuple(values)


def _records(source: str) -> Iterator[tuple[str, Record]]:
    """(place, record) of each line that is not blank."""
    name = source.removeprefix(datasets.PREFIX)
    files = [(source, Path(source))] if name == source else datasets.resolve(name)
    for label, path in files:
        opened = lzma.open if path.suffix == ".xz" else open
        try:
            with opened(path, "rt", encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield f"{label}:{number}", _record(line, f"{label}:{number}")
        except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
            raise TextError(f"{label}: cannot be read: {error}") from None


def _record(line: str, place: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise TextError(f"{place}: no JSON: {error}") from None
    if not isinstance(record, dict):
        raise TextError(f"{place}: a {type(record).__name__}, where an object with the item should stand")
    return record
