"""Pairs of answers in files, of which people preferred one.

| form | a record |
|---|---|
| HH | `{"chosen": "\\n\\nHuman: ...\\n\\nAssistant: ...", "rejected": "\\n\\nHuman: ...\\n\\nAssistant: ..."}` |
| messages | `{"chosen": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}], "rejected": [...]}` |
| prompt | `{"prompt": "...", "chosen": "...", "rejected": "..."}`; the prompt may be messages, the answers may be one message each |
| Alpaca, ShareGPT | `instruction`, `input` or `conversations` for the prompt, beside `chosen` and `rejected` |

Both answers must be to the same question, and differ.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.text.conversation_records import ANSWERS, TURNS, Misread, Turn, in_lower_case, said_in
from inkstone.text.conversations import in_order
from inkstone.text.records import read_records
from inkstone.text.tagged_words import Notes

CHOSEN = ("chosen", "preferred", "accepted")
REJECTED = ("rejected", "dispreferred", "refused")
_SPEAKER = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant):[ \t]*")
_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True)
class Preference:
    """A question with what was said before it, as messages, and two answers to it."""

    place: str  # "file:line"
    messages: list[dict[str, str]]
    chosen: str
    rejected: str

    @property
    def text(self) -> str:
        """All that is said, to find it again in another part."""
        return "\n".join([*(message["content"] for message in self.messages), self.chosen, self.rejected])


def read_preferences(sources: Sequence[str | Path], notes: Notes) -> Iterator[Preference]:
    """The pairs of files, folders and `data:NAME`, in a fixed order; what leaves a doubt is left out and noted with its place.

    Raises TextError as `read_records` does.
    """
    for record in read_records(sources, notes.reading):
        try:
            found, mended = preference_in(record.values, record.place)
        except Misread as misread:
            notes.refuse(record.place + misread.part, str(misread))
            continue
        for part, reason in mended:
            notes.mend(record.place + part, reason)
        yield found


def holds_preference(record: Mapping[str, Any]) -> bool:
    """Whether a record has a chosen and a rejected answer."""
    lower = in_lower_case(record)
    return all(any(lower.get(name) not in (None, "") for name in names) for names in (CHOSEN, REJECTED))


def preference_in(record: Mapping[str, Any], place: str) -> tuple[Preference, list[tuple[str, str]]]:
    """The pair of a record, and what had to be put right: (part, what). Raises Misread for a record that holds none."""
    lower = in_lower_case(record)
    sides, mended = [], []
    for kind, names in (("chosen", CHOSEN), ("rejected", REJECTED)):
        name = next((name for name in names if lower.get(name) not in (None, "", [])), None)
        if name is None:
            raise Misread(f"no {kind} answer; there is only: {', '.join(lower) or 'nothing'}")
        said = _conversation(lower, lower[name], mended)
        if said and said[-1].role == "assistant" and not said[-1].content.strip():
            raise Misread(f"the {kind} answer is empty")
        kept, cut = in_order(said)
        if kept[-1] is not said[-1]:
            raise Misread(f"the {kind} side ends with a question")
        mended += [each for each in cut if each not in mended]
        sides.append(kept)
    chosen, rejected = sides
    if [(turn.role, turn.content.strip()) for turn in chosen[:-1]] != [
        (turn.role, turn.content.strip()) for turn in rejected[:-1]
    ]:
        raise Misread("the two answers are to different questions")
    if chosen[-1].content.strip() == rejected[-1].content.strip():
        raise Misread("the chosen and the rejected answer are the same")
    messages = [{"role": turn.role, "content": turn.content} for turn in chosen[:-1]]
    return Preference(place, messages, chosen[-1].content, rejected[-1].content), mended


def _conversation(lower: Mapping[str, Any], told: Any, mended: list[tuple[str, str]]) -> list[Turn]:
    """The whole conversation of one side: what it says itself, after the prompt that the record has beside it."""
    if isinstance(told, str) and (turns := _of_speakers(told)) is not None:
        return turns
    if isinstance(told, str):
        answer = [Turn("assistant", told, "")]
    elif isinstance(told, list | Mapping):
        answer = _said({"messages": [told] if isinstance(told, Mapping) else told}, mended)
    else:
        raise Misread(f"an answer that is a {type(told).__name__}, and neither a text nor messages")
    if any(turn.role == "user" for turn in answer):
        return answer
    return [*_prompt(lower, mended), *answer]


def _prompt(lower: Mapping[str, Any], mended: list[tuple[str, str]]) -> list[Turn]:
    if isinstance(lower.get("prompt"), list):
        return _said({"messages": lower["prompt"], "system": lower.get("system")}, mended)
    if isinstance(lower.get("prompt"), str) and (turns := _of_speakers(lower["prompt"])) is not None:
        return turns[:-1] if turns[-1].role == "assistant" and not turns[-1].content else turns
    if any(isinstance(lower.get(name), list) for name in TURNS):
        return _said(lower, mended)
    rest = {name: value for name, value in lower.items() if name not in ANSWERS}
    return _said({**rest, ANSWERS[0]: ""}, mended)[:-1]


def _said(record: Mapping[str, Any], mended: list[tuple[str, str]]) -> list[Turn]:
    said = next(said_in(record))
    if isinstance(said, Misread):
        raise said
    mended += [each for each in said.mended if each not in mended]
    return said.turns


def _of_speakers(text: str) -> list[Turn] | None:
    """The turns of a text in which `Human:` and `Assistant:` say who speaks; None where it does not begin so."""
    found = list(_SPEAKER.finditer(text))
    if not found or (found[0].start() > 0 and text[: found[0].start()].strip()):
        return None
    stops = [match.start() for match in found[1:]] + [len(text)]
    return [
        Turn(_ROLES[match[1]], text[match.end() : stop].strip(), f" turn {number}")
        for number, (match, stop) in enumerate(zip(found, stops, strict=True), 1)
    ]
