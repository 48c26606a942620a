"""Control tokens: those that say who speaks and where a turn ends. A template writes them; people must not be able to.

Before a template sees what people say, the first character of each control token that is spelled there is changed for a
stand-in that occurs nowhere else. Then every control token that the finished text spells is the template's own, and the tokens
between them are encoded as ordinary text, with the true characters back in their places.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import tokenizers

from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.offsets import PlacedTokens
from inkstone.tokens.template_sandbox import MARKS, ChatTemplateError
from inkstone.tokens.tokenizer import TURN_END, TURN_START, Tokenizer, whole_characters

TURN_TOKENS = (TURN_START, TURN_END)
STAND_INS = range(0xF0000, 0xFFFFE)  # a plane for private use


def with_turn_tokens(tokenizer: Tokenizer) -> tuple[Tokenizer, list[int]]:
    """A tokenizer in which `TURN_TOKENS` are single special tokens, and the ids that are new; `tokenizer` stays as it is.

    Those that our own tokenizers learn have them from the start: then nothing is new. New ids follow the largest one so far,
    so a model needs `vocab_size` rows in its embedding, and those of the new ids have learned nothing yet.
    """
    return with_tokens(tokenizer, TURN_TOKENS)


class ControlTokens:
    """The control tokens of a tokenizer, of which some template writes `literals`.

    Those are its special tokens, and what beside them it added to its vocabulary and the template spells, as DeepSeek's
    `<｜User｜>` or Qwen's `<think>`: the latter the model may write itself, so they stay what they are where the assistant speaks.
    """

    def __init__(self, tokenizer: Tokenizer, literals: str):
        self.tokenizer = tokenizer
        added = tokenizer.backend.get_added_tokens_decoder()
        # The token of what a vocabulary lacks stands for any such character, so it controls nothing.
        unknown = set(tokenizer.encode(chr(STAND_INS[0])))
        self.added = frozenset(added) - unknown
        self.special = {added[number].content: number for number in self.added if added[number].special}
        self.all = self.special | {
            added[number].content: number
            for number in self.added
            if added[number].content in literals and not added[number].content.isspace()
        }
        self._names = {number: content for content, number in self.all.items()}
        self._of_people = _Spelled(self.all)
        self._of_the_model = _Spelled(self.special)

    def hide(self, messages: list[dict[str, Any]], others: Any, used: str) -> "Hidden":
        """Messages and other variables of a template as it may see them; `used` holds characters that are no stand-ins."""
        taken = set(used).union(*_strings([messages, others]))
        free = (chr(number) for number in STAND_INS if chr(number) not in taken)
        firsts = sorted({*MARKS, *(token[0] for token in self.all)})
        stand_ins = str.maketrans(dict(zip(firsts, free, strict=False)))
        if len(stand_ins) < len(firsts):
            raise ChatTemplateError("a conversation that uses all characters of a plane for private use")
        hidden = [
            {
                name: value
                if name == "role"
                else (self._of_the_model if message["role"] == "assistant" else self._of_people).hide(value, stand_ins)
                for name, value in message.items()
            }
            for message in messages
        ]
        return Hidden(hidden, self._of_people.hide(others, stand_ins), stand_ins)

    def read(self, text: str, hidden: "Hidden") -> PlacedTokens:
        """The tokens of a text that a template wrote of what was hidden.

        Raises ChatTemplateError where the tokenizer would make a control token of something else than its name.
        """
        encoding = self._parsing.encode(text, add_special_tokens=False)
        ids: list[int] = []
        places: list[tuple[int, int]] = []
        first = start = 0  # the token and the character behind the last control token
        ends = [number for number, token in enumerate(encoding.ids) if token in self.added]
        for end in [*ends, len(encoding.ids)]:
            is_token = end < len(encoding.ids)
            stop = encoding.offsets[end][0] if is_token else len(text)
            between = text[start:stop]
            if (true := hidden.show(between)) == between:
                ids += encoding.ids[first:end]
                places += encoding.offsets[first:end]
            else:
                plain = self._plain.encode(true, add_special_tokens=False)
                self._refuse_controls(plain.ids)
                ids += plain.ids
                places += [(start + begin, start + end) for begin, end in plain.offsets]
            if is_token:
                number, place = encoding.ids[end], encoding.offsets[end]
                self._refuse_other_spelling(number, text[slice(*place)])
                ids.append(number)
                places.append(place)
                first, start = end + 1, place[1]
        bounds = np.array(places, dtype=np.int64).reshape(-1, 2)
        return PlacedTokens(np.array(ids, dtype=np.int64), bounds[:, 0], bounds[:, 1])

    def last_in(self, text: str) -> int | None:
        """Where the last control token that a text spells comes to its end."""
        found = [place + len(token) for token in self.all if (place := text.rfind(token)) >= 0]
        return max(found, default=None)

    def first_in(self, text: str) -> int | None:
        """The id of the first control token that a text spells."""
        found = [(place, -len(token), number) for token, number in self.all.items() if (place := text.find(token)) >= 0]
        return min(found)[2] if found else None

    @cached_property
    def _parsing(self) -> tokenizers.Tokenizer:
        """The tokenizer that takes the name of a control token for that token."""
        backend = tokenizers.Tokenizer.from_str(self.tokenizer.backend.to_str())
        backend.encode_special_tokens = False
        return backend

    @cached_property
    def _plain(self) -> tokenizers.Tokenizer:
        """The one that takes the names of all control tokens for text."""
        if len(self.all) == len(self.special):
            return self.tokenizer.backend
        described = json.loads(self.tokenizer.backend.to_str())
        for token in described["added_tokens"]:
            token["special"] = token["special"] or token["content"] in self.all
        backend = tokenizers.Tokenizer.from_str(json.dumps(described))
        backend.encode_special_tokens = True
        return backend

    def _refuse_controls(self, ids: list[int]) -> None:
        if found := sorted(self._names.keys() & set(ids)):
            raise ChatTemplateError(
                f"a message spells the control token {self._names[found[0]]!r}, which this tokenizer cannot write as text"
            )

    def _refuse_other_spelling(self, number: int, spelled: str) -> None:
        name = self._names.get(number)
        if name is not None and spelled.strip() != name.strip():
            raise ChatTemplateError(f"{spelled!r} would become the control token {name!r}; write it otherwise")


class Hidden:
    """What a template may see of a conversation, and the way back to what was said."""

    def __init__(self, messages: list[dict[str, Any]], others: Any, stand_ins: dict[int, str]):
        self.messages = messages
        self.others = others
        self._true = str.maketrans({stand_in: chr(first) for first, stand_in in stand_ins.items()})

    def show(self, text: str) -> str:
        """The text with the true characters in place of their stand-ins."""
        return text.translate(self._true)


class _Spelled:
    """Finds tokens where they are spelled: whole, or begun at the end of a text, where what follows could complete them."""

    def __init__(self, tokens: Collection[str]):
        firsts = "".join(sorted({*MARKS, *(token[0] for token in tokens)}))
        longest_first = sorted(tokens, key=len, reverse=True)
        whole = "|".join(map(re.escape, [*longest_first, *MARKS]))
        self._any = re.compile(f"[{re.escape(firsts)}]")
        self._whole = re.compile(f"(?=[{re.escape(firsts)}])(?={whole})")
        self._begun = {token[:length] for token in tokens for length in range(1, len(token))}
        self._longest = max(map(len, self._begun), default=0)

    def hide(self, value: Any, stand_ins: dict[int, str]) -> Any:
        """Plain data with stand-ins in all its texts."""
        if isinstance(value, str):
            return self._hide_in(value, stand_ins)
        if isinstance(value, dict):
            return {self.hide(name, stand_ins): self.hide(part, stand_ins) for name, part in value.items()}
        if isinstance(value, list):
            return [self.hide(part, stand_ins) for part in value]
        return value

    def _hide_in(self, text: str, stand_ins: dict[int, str]) -> str:
        if not self._any.search(text):
            return text
        places = {match.start() for match in self._whole.finditer(text)}
        stop = len(text.rstrip())  # templates take blanks from the end
        for length in range(1, min(self._longest, stop) + 1):
            if text[stop - length : stop] in self._begun:
                places.add(stop - length)
        characters = list(text)
        for place in places:
            characters[place] = stand_ins[ord(text[place])]
        return "".join(characters) if places else text


def plain_data(value: Any, what: str) -> Any:
    """A copy that holds nothing but what JSON can hold, its texts without lone surrogates.

    Raises ChatTemplateError for anything else: a template could call methods of such a thing.
    """
    if isinstance(value, str):
        return whole_characters(str.__str__(value))[0]
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, Mapping):
        return {plain_data(name, what): plain_data(part, what) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(part, what) for part in value]
    raise ChatTemplateError(
        f"{what} holds a {type(value).__name__}; a template is given texts, numbers, lists and objects"
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _strings(name)
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
