"""Marks: what people said of answers, and the examples that follow from it.

| mark | what was said |
|---|---|
| up, down | this answer to this conversation is good, is bad |
| better | of two answers to this conversation this one is better than the other |

From marks follow pairs, of which the first was preferred, as `inkstone tune prefer` learns them:

- the two answers of each comparison;
- every good answer with every bad one to the same conversation, `MOST_OF_QUESTION` pairs of a conversation at most.

Pairs that say the opposite of each other are both left out. A good answer to a conversation of which there is no pair is an example for
supervised learning. A bad one alone says nothing of what would be good.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from inkstone.errors import InkstoneError
from inkstone.tokens.tokenizer import whole_characters

Kind = Literal["up", "down", "better"]
KINDS = get_args(Kind)
MOST_OF_QUESTION = 8  # pairs, so that no single conversation is learned above all others
MOST_CHARACTERS = 400_000  # of all that one mark holds
MOST_SETTINGS = 4_000  # characters
ROLES = ("system", "user", "assistant")


class MarkError(InkstoneError):
    """A mark that says nothing of an answer."""


@dataclass(frozen=True)
class Mark:
    """One mark. `messages` are what was said before the answer, the question last; `other` is what "better" was preferred to."""

    kind: Kind
    messages: tuple[Mapping[str, str], ...]
    answer: str
    other: str | None = None
    model: str = ""  # the name under which it was served
    other_model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # with which the answer was drawn
    id: int | None = None
    made: float | None = None  # seconds since 1970

    @property
    def question(self) -> str:
        """What the answer is to, as one text: the same for the same messages."""
        return json.dumps([[m["role"], m["content"].strip()] for m in self.messages], ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**vars(self), "messages": [dict(message) for message in self.messages], "settings": dict(self.settings)}


@dataclass(frozen=True)
class Pair:
    """Two answers to a conversation, of which the first was preferred."""

    messages: tuple[Mapping[str, str], ...]
    chosen: str
    rejected: str

    def record(self) -> dict[str, Any]:
        """As a file of preferences has it."""
        return {"prompt": [dict(m) for m in self.messages], "chosen": self.chosen, "rejected": self.rejected}


@dataclass
class Learnable:
    """What follows from marks."""

    pairs: list[Pair] = field(default_factory=list)
    ups: list[Mark] = field(default_factory=list)  # good answers of which there is no pair
    downs: list[Mark] = field(default_factory=list)  # bad ones
    opposed: int = 0  # pairs that were left out, since others say the opposite


def checked(
    kind: str,
    messages: Sequence[Any],
    answer: str,
    other: str | None = None,
    *,
    model: str = "",
    other_model: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Mark:
    """A mark of what a program sent. Raises MarkError where it cannot be one, with the reason."""
    if kind not in KINDS:
        raise MarkError(f"kind = {kind!r}, but must be one of {', '.join(KINDS)}")
    said = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            raise MarkError(f"message {number} needs a role, one of {', '.join(ROLES)}, and a content")
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            raise MarkError(f"message {number} is empty or no text")
        said.append({"role": message["role"], "content": message["content"]})
    roles = [message["role"] for message in said]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns != [("user", "assistant")[number % 2] for number in range(len(turns))] or len(turns) % 2 == 0:
        raise MarkError(
            "the messages before an answer are: a system message or none, then user and assistant in turn, a user's last"
        )
    if not answer.strip():
        raise MarkError("the answer is empty")
    if (kind == "better") != (other is not None):
        raise MarkError("a mark 'better' needs the other answer in `other`; the marks 'up' and 'down' have none")
    if other is not None and (not other.strip() or other.strip() == answer.strip()):
        raise MarkError("the other answer is empty, or the same")
    if sum(map(len, [answer, other or "", *(message["content"] for message in said)])) > MOST_CHARACTERS:
        raise MarkError(f"a mark holds {MOST_CHARACTERS:,} characters at most")
    drawn = _as_json(settings or {})
    return Mark(kind, tuple(said), answer, other, model[:200], other_model[:200], drawn)  # type: ignore[arg-type]


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        written = json.dumps(dict(settings), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise MarkError("the settings of a mark hold a number that JSON does not have") from None
    if len(written) > MOST_SETTINGS:
        raise MarkError(f"the settings of a mark take {MOST_SETTINGS:,} characters at most")
    return json.loads(whole_characters(written)[0])


def learnable(marks: Iterable[Mark]) -> Learnable:
    """The pairs and examples of marks, in the order of the marks; of two votes on one answer the later one counts."""
    votes: dict[str, dict[str, Mark]] = {}
    compared: dict[str, list[Pair]] = {}
    for mark in marks:
        if mark.other is not None:
            own = compared.setdefault(mark.question, [])
            own.append(Pair(mark.messages, mark.answer, mark.other))
        else:
            votes.setdefault(mark.question, {})[mark.answer.strip()] = mark
    found = Learnable()
    for question in dict.fromkeys([*compared, *votes]):
        cast = list(votes.get(question, {}).values())
        ups, downs = ([mark for mark in cast if mark.kind == kind] for kind in ("up", "down"))
        crossed = [Pair(up.messages, up.answer, down.answer) for up in ups for down in downs]
        own = list({_answers(pair): pair for pair in [*compared.get(question, []), *crossed]}.values())
        said = {_answers(pair) for pair in own}
        kept = [pair for pair in own if _answers(pair)[::-1] not in said]
        found.opposed += len(own) - len(kept)
        found.pairs += kept[:MOST_OF_QUESTION]
        if not own:
            found.ups += ups
            found.downs += downs
    return found


def _answers(pair: Pair) -> tuple[str, str]:
    return pair.chosen.strip(), pair.rejected.strip()


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite, by its first bytes."""
    try:
        with open(path, "rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def mark_in(row: sqlite3.Row) -> Mark:
    """The mark in a row of the table `marks`."""
    values = {name: row[name] for name in ("kind", "answer", "other", "model", "other_model", "id", "made")}
    return Mark(messages=tuple(json.loads(row["messages"])), settings=json.loads(row["settings"]), **values)
