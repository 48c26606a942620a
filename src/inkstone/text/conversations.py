"""Conversations in files, from which a model learns to answer.

| form | a record |
|---|---|
| messages | `{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}` |
| ShareGPT | `{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}], "system": "..."}` |
| Alpaca, or a table | `instruction`, `input` (may be empty), `output`, and if need be `system`, `history` ([[question, answer], ...]) |
| Self-Instruct | `instruction`, `instances` ([{"input": "...", "output": "..."}, ...]) |

Each record is read as what it is, by the names in it. A conversation that can be used may begin with a system message; then user
and assistant take turns, and the assistant has the last word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.errors import TextError
from inkstone.text.conversation_records import ANSWERS, TURNS, Misread, Turn, said_in
from inkstone.text.records import read_records
from inkstone.text.tagged_words import Notes


@dataclass(frozen=True)
class Dialogue:
    """A conversation: messages as a chat template takes them, {"role": "user", "content": "..."}, and where it stands."""

    place: str  # "file:line"
    messages: list[dict[str, str]]

    @property
    def text(self) -> str:
        """All that is said, to find it again in another part."""
        return "\n".join(message["content"] for message in self.messages)


def asked_dialogue(given: Any, place: str) -> Dialogue:
    """A conversation that ends with a question: of a question, a list of messages, or a record, whose last answer is left out.

    Raises TextError for what is none of these, or whose order leaves a doubt.
    """
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    record: dict[Any, Any] = {"messages": given} if isinstance(given, list) else given
    if not isinstance(record, Mapping):
        raise TextError(f"{place}: {given!r} is no question, no list of messages, and no record with either")
    if not {str(name).strip().lower() for name in record} & {*TURNS, *ANSWERS}:
        record = {**record, ANSWERS[0]: ""}
    said = next(said_in(record))
    try:
        if isinstance(said, Misread):
            raise said
        turns = list(said.turns)
        if turns and turns[-1].role == "assistant":
            del turns[-1]
        kept, _ = in_order([*turns, Turn("assistant", "is to follow", "")])
    except Misread as misread:
        raise TextError(f"{place}{misread.part}: {misread}") from None
    return Dialogue(place, [{"role": turn.role, "content": turn.content} for turn in kept[:-1]])


def read_conversations(sources: Sequence[str | Path], notes: Notes) -> Iterator[Dialogue]:
    """The conversations of files, folders and `data:NAME`, in a fixed order.

    One whose order leaves a doubt, or in which something is empty or unknown, is left out; one that only begins or ends too early
    is cut. Either is noted with its place. Raises TextError as `read_records` does.
    """
    for record in read_records(sources, notes.reading):
        for said in said_in(record.values):
            if isinstance(said, Misread):
                notes.refuse(record.place + said.part, str(said))
                continue
            try:
                turns, cut = in_order(said.turns)
            except Misread as misread:
                notes.refuse(record.place + misread.part, str(misread))
                continue
            for part, reason in [*said.mended, *cut]:
                notes.mend(record.place + part, reason)
            for purpose, name in said.columns.items():
                notes.columns.setdefault(purpose, name)
            yield Dialogue(record.place, [{"role": turn.role, "content": turn.content} for turn in turns])


def in_order(turns: Sequence[Turn]) -> tuple[list[Turn], list[tuple[str, str]]]:
    """The turns of a conversation that can be used, and what was cut off: (part, what). Raises Misread where there is none.

    An empty system message, a first answer that no question stands before, and a last question without an answer are cut.
    """
    kept, cut = list(turns), []
    if kept and kept[0].role == "system" and not kept[0].content.strip():
        cut.append((kept.pop(0).part, "an empty system message; it is left out"))
    begins = 1 if kept and kept[0].role == "system" else 0
    if len(kept) > begins + 1 and kept[begins].role == "assistant":
        cut.append((kept.pop(begins).part, "it begins with an answer to nothing, which is left out"))
    unanswered = None
    while kept and (kept[-1].role == "user" or (kept[-1].role == "assistant" and not kept[-1].content.strip())):
        unanswered = kept.pop()
    if len(kept) < begins + 2:
        if unanswered:
            raise Misread("a question without an answer", unanswered.part)
        raise Misread("an answer without a question" if len(kept) > begins else "no message of user or assistant")
    if unanswered:
        cut.append((unanswered.part, "the last question has no answer; it is left out"))
    for number, turn in enumerate(kept[begins:]):
        if turn.role == "system":
            raise Misread("a system message that is not the first message", turn.part)
        if turn.role != ("user", "assistant")[number % 2]:
            asked = turn.role == "user"
            raise Misread("a question after a question" if asked else "an answer after an answer", turn.part)
        if not turn.content.strip():
            raise Misread("an empty message", turn.part)
    return kept, cut
