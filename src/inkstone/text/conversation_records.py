"""What was said, in one record of a file of conversations or instructions; in which order is not asked here."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

TURNS = ("messages", "conversations", "conversation", "dialogue", "turns")
SPEAKERS = ("role", "from", "speaker")
WORDS = ("content", "value", "text")
ASKED = ("instruction", "prompt", "question", "query", "指令", "问题")
FURTHER = ("input", "context", "输入")
ANSWERS = ("output", "response", "answer", "completion", "输出", "回答", "答案")
SYSTEMS = ("system", "system_prompt")
ROLES = {
    "system": ("system", "系统"),
    "user": ("user", "human", "prompter", "用户", "人类"),
    "assistant": ("assistant", "gpt", "chatgpt", "bot", "model", "ai", "助手", "机器人"),
}
_ROLE = {name: role for role, names in ROLES.items() for name in names}
# The words that Alpaca puts around an instruction for a model without turns of its own.
_FRAME = re.compile(
    r"\s*Below is an instruction that describes a task.*?### Instruction:\s*(?P<asked>.*?)"
    r"(?:\s*### Input:\s*(?P<further>.*?))?\s*### Response:\s*",
    re.DOTALL,
)
LONGEST_ROLE = 20  # characters of an unknown one that are repeated


class Misread(Exception):
    """Why a record cannot be read, and in which of its parts that shows, "" for the whole."""

    def __init__(self, reason: str, part: str = ""):
        super().__init__(reason)
        self.part = part


class Turn(NamedTuple):
    """One message as it stands in its record."""

    role: str  # "system", "user" or "assistant"
    content: str
    part: str  # where: " message 2"


class Said(NamedTuple):
    """The turns of a conversation as they come, what they were read from, and what had to be put right."""

    turns: list[Turn]
    columns: dict[str, str]  # what it is for → its name in the file
    mended: list[tuple[str, str]]  # (part, what)


def said_in(record: Mapping[str, Any]) -> Iterator[Said | Misread]:
    """The conversations of a record, most often one: a list of messages, or an instruction with its answer.

    Self-Instruct has several answers to one instruction, each to an input of its own; each is a conversation.
    """
    lower = in_lower_case(record)
    if lower.get("instances") == []:
        yield Misread("an instruction without an instance")
    elif isinstance(lower.get("instances"), list):
        for number, each in enumerate(lower["instances"], 1):
            part = f" instance {number}"
            if isinstance(each, Mapping):
                yield _read(lower | in_lower_case(each), part)
            else:
                yield Misread("an instance that is no object", part)
    else:
        yield _read(lower, "")


def in_lower_case(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record by its names in lower case; of two that then are the same, the first."""
    lower: dict[str, Any] = {}
    for name, value in record.items():
        lower.setdefault(str(name).strip().lower(), value)
    return lower


def _read(lower: Mapping[str, Any], part: str) -> Said | Misread:
    said = Said([], {}, [])
    try:
        if name := next((name for name in TURNS if isinstance(lower.get(name), list)), None):
            said.columns["conversation"] = name
            _take_system(lower, said, part)
            for number, message in enumerate(lower[name], 1):
                said.turns.append(_turn(message, f"{part} message {number}", said))
        else:
            _take_instruction(lower, said, part)
    except Misread as misread:
        return misread
    return said


def _turn(message: Any, part: str, said: Said) -> Turn:
    if not isinstance(message, Mapping):
        raise Misread("a message that is no object with its role and its content", part)
    speaker = next((message[name] for name in SPEAKERS if message.get(name) is not None), None)
    if not isinstance(speaker, str):
        raise Misread("a message without a role", part)
    role = _ROLE.get(speaker.strip().lower())
    if role is None:
        raise Misread(f"the role {speaker[:LONGEST_ROLE]!r}, which is none of {', '.join(ROLES)}", part)
    return Turn(role, _text(next((message[name] for name in WORDS if name in message), None), part, said), part)


def _take_instruction(lower: Mapping[str, Any], said: Said, part: str) -> None:
    asked, further, answer = (_first(lower, names) for names in (ASKED, FURTHER, ANSWERS))
    if (asked is None and further is None) or answer is None:
        missing = "an answer" if answer is None else "an instruction"
        raise Misread(f"neither a list of messages nor {missing}; there is only: {', '.join(lower) or 'nothing'}", part)
    _take_system(lower, said, part)
    history = lower.get("history") or []
    if history:
        said.columns["earlier turns"] = "history"
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise Misread("a history that is no list of pairs of a question and an answer", part)
    for number, pair in enumerate(history, 1):
        place = f"{part} turn {number} of its history"
        for role, words in zip(("user", "assistant"), pair, strict=True):
            said.turns.append(Turn(role, _text(words, place, said), place))
    texts = []
    for column, name in (("instruction", asked), ("input", further)):
        if name is not None:
            said.columns[column] = name
            texts.append(_text(lower[name] if lower[name] is not None else "", part, said))
    if framed := _FRAME.fullmatch(texts[0]):
        said.mended.append((part, "the instruction stands in the words of Alpaca's prompt; they are left out"))
        texts[:1] = [framed["asked"], framed["further"] or ""]
    said.columns["answer"] = answer
    question = "\n".join(text for text in texts if text.strip())
    said.turns.append(Turn("user", question, part))
    said.turns.append(Turn("assistant", _text(lower[answer] if lower[answer] is not None else "", part, said), part))


def _take_system(lower: Mapping[str, Any], said: Said, part: str) -> None:
    name = _first(lower, SYSTEMS)
    if name is not None and lower[name] not in (None, ""):
        said.columns["system message"] = name
        said.turns.append(Turn("system", _text(lower[name], part, said), part))


def _first(lower: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these names that has a value, or else the first that is there."""
    there = [name for name in names if name in lower]
    return next((name for name in there if lower[name] not in (None, "")), there[0] if there else None)


def _text(told: Any, part: str, said: Said) -> str:
    """The words of a message: a text, or a list of parts that are texts."""
    if isinstance(told, list) and all(isinstance(each, Mapping) and isinstance(each.get("text"), str) for each in told):
        told = "\n".join(each["text"] for each in told)
    elif isinstance(told, int | float) and not isinstance(told, bool):
        said.mended.append((part, "a number in place of a text; it is read as one"))
        told = str(told)
    if not isinstance(told, str):
        raise Misread("a message whose content is no text", part)
    whole = told if told.isascii() else told.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if whole != told:
        said.mended.append((part, "half of a surrogate pair; it is now U+FFFD"))
    return whole
