"""The chat template of a model: how a conversation is written down in tokens, and which of them are the model's answers.

The one object for all who need it, as `inkstone chat`, so that a model is asked in the very tokens it learned from. It is stored beside the model as `chat_template.jinja`, which `transformers` and what is built on it read as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from inkstone.errors import nearest
from inkstone.files import write_text
from inkstone.tokens.control_tokens import TURN_TOKENS, ControlTokens, Hidden, plain_data
from inkstone.tokens.stored_templates import FILE_NAME, stored_template
from inkstone.tokens.template_sandbox import ANSWER_OPENS, MARKS, ChatTemplateError, Sandboxed
from inkstone.tokens.tokenizer import Tokenizer

ROLES = ("system", "developer", "user", "assistant", "tool", "function", "ipython")
PROBE = "\U0010fffd"  # an answer that no template looks for

Message = Mapping[str, Any]  # {"role": one of ROLES, "content": text, and what else the template knows}


@dataclass(frozen=True)
class TaughtTokens:
    """The tokens of a conversation, and which of them are the assistant's: those that a model is to learn to write."""

    ids: Int[np.ndarray, " t"]
    answers: Bool[np.ndarray, " t"]


class ChatTemplate:
    """A Jinja template with the tokenizer of its model; `place` names the template in messages to people.

    The roles that a message can have are `ROLES`; in which order is for the template to say. Further settings of a call are
    given to the template under their names, as `enable_thinking=False` for Qwen3. What people write is text: a control token
    that is spelled in a message, a tool or a document stays the ordinary characters it is made of. (The template can then not
    tell it from other text either. A tokenizer of SentencePiece that puts a blank before a text puts one there too.)

    Every method raises ChatTemplateError for a conversation that the template refuses, a role or content that is none, and
    where the template itself fails.
    """

    def __init__(self, source: str, tokenizer: Tokenizer, place: str = FILE_NAME):
        self.source = source
        self.tokenizer = tokenizer
        self.place = place
        self._plain = Sandboxed(source, place)

    @classmethod
    def chatml(cls, tokenizer: Tokenizer) -> "ChatTemplate":
        """Our own: `<|im_start|>role`, the content, `<|im_end|>`; a system message may stand first, then user and assistant
        take turns. Blanks around a content are left out, so that the tokens of an answer are its own.

        Raises ChatTemplateError for a tokenizer in which `TURN_TOKENS` are no special tokens; see `with_turn_tokens`.
        """
        special = {tokenizer.backend.id_to_token(number) for number in tokenizer.special_ids}
        if missing := [token for token in TURN_TOKENS if token not in special]:
            raise ChatTemplateError(f"the tokenizer has no special token {missing[0]}; add it with with_turn_tokens")
        path = Path(__file__).with_name("chatml.jinja")
        return cls(path.read_text(encoding="utf-8"), tokenizer, path.name)

    @classmethod
    def of(cls, folder: Path | str, tokenizer: Tokenizer, name: str = "default") -> "ChatTemplate | None":
        """The template in a model folder, of ours or another's; None for a base model, which has none.

        Some folders hold several, by `name`. Raises ChatTemplateError for one that cannot be read or is no template, and where
        there are only others.
        """
        found = stored_template(Path(folder), name)
        return None if found is None else cls(found.source, tokenizer, found.place)

    def save(self, folder: Path | str) -> None:
        """Write it into a model folder, whole or not at all."""
        write_text(Path(folder) / FILE_NAME, self.source)

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False, **settings: Any) -> str:
        """The conversation as text, for people to look at; only `ids` keeps what is said apart from what the template says.

        With `add_generation_prompt` it ends where the assistant's next answer begins.
        """
        hidden = self._hidden(messages, settings)
        return hidden.show(self._written(self._plain, hidden, len(messages), add_generation_prompt))

    def ids(self, messages: Sequence[Message], *, add_generation_prompt: bool = False, **settings: Any) -> list[int]:
        """The tokens of the conversation, with the begin token only if the template writes it.

        They are those of `transformers`' `apply_chat_template`, as long as no message spells a control token.
        """
        hidden = self._hidden(messages, settings)
        text = self._written(self._plain, hidden, len(messages), add_generation_prompt)
        return self._controls.read(text, hidden).ids.tolist()

    def taught(self, messages: Sequence[Message], *, last_only: bool = False, **settings: Any) -> TaughtTokens:
        """The tokens of a whole conversation, and which of them are answers; with `last_only`, only the last message is one.

        A template that has the block `{% generation %}` says itself what the assistant writes. Elsewhere an answer is what the
        conversation up to it, with its message, has more than the one before it, with `add_generation_prompt`: so it begins
        where a model begins to write, and ends with the control token that ends the turn.

        Raises ChatTemplateError where that cannot be told, since the template writes earlier turns otherwise once later ones
        follow, as those that leave out earlier thoughts; then each answer can be learned by itself, with `last_only`.
        """
        hidden = self._hidden(messages, settings)
        text = self._written(self._plain, hidden, len(messages))
        spans = self._marked_spans(hidden, text)
        if spans is None or last_only:
            prompted = self._prompted_spans(hidden, text, last_only)
            begin = prompted[0][0] if prompted else len(text)
            spans = prompted if spans is None else [span for span in spans if span[0] >= begin]
        placed = self._controls.read(text, hidden)
        answers = np.zeros(len(placed.ids), dtype=bool)
        for begin, end in spans:
            answers |= (placed.stops > begin) & (placed.starts < end)
        return TaughtTokens(placed.ids, answers)

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer: the one the template ends a turn of the assistant with, and the end of a document."""
        messages = [{"role": "user", "content": PROBE}, {"role": "assistant", "content": PROBE}]
        try:
            text = self.render(messages)
        except ChatTemplateError:
            return frozenset({self.tokenizer.end})
        end = self._controls.first_in(text.rpartition(PROBE)[2])
        return frozenset({self.tokenizer.end} if end is None else {self.tokenizer.end, end})

    @cached_property
    def takes_tools(self) -> bool:
        """Whether the template tells the model of tools."""
        return self._plain.reads("tools")

    def own_ids(self, text: str) -> list[int]:
        """The tokens of text that the template wrote itself, in which names of control tokens are these tokens."""
        return self._controls.read(text, self._controls.hide([], {}, text)).ids.tolist()

    @cached_property
    def _controls(self) -> ControlTokens:
        return ControlTokens(self.tokenizer, self._plain.literals())

    @cached_property
    def _marking(self) -> Sandboxed:
        return Sandboxed(self.source, self.place, marked=True)

    def _hidden(self, messages: Sequence[Message], settings: Mapping[str, Any]) -> Hidden:
        if not messages:
            raise ChatTemplateError("a conversation without a message")
        try:
            plain = [self._message(number, message) for number, message in enumerate(messages, 1)]
            others = plain_data(settings, "the settings of a template")
        except RecursionError:
            raise ChatTemplateError("a conversation with lists nested too deep") from None
        return self._controls.hide(plain, others, self.source + "".join(self.tokenizer.names.values()))

    def _message(self, number: int, message: Message) -> dict[str, Any]:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise ChatTemplateError(f"message {number} is no object with a role and a content")
        if message["role"] not in ROLES:
            raise ChatTemplateError(
                f"message {number} is of the role {message['role']!r}; {nearest(message['role'], ROLES)}"
            )
        told = plain_data(message, f"message {number}")
        return {name: value for name, value in told.items() if value is not None}  # many templates would write "None"

    def _written(self, sandboxed: Sandboxed, hidden: Hidden, count: int, add_generation_prompt: bool = False) -> str:
        """What becomes of the first messages, so many, as the template may see them."""
        return sandboxed.render(
            {
                "tools": None,
                "documents": None,
                **self.tokenizer.names,
                **hidden.others,
                "messages": hidden.messages[:count],
                "add_generation_prompt": add_generation_prompt,
            }
        )

    def _marked_spans(self, hidden: Hidden, text: str) -> list[tuple[int, int]] | None:
        """First and stop of each answer by the template's own marks; None where it has none."""
        marked = self._written(self._marking, hidden, len(hidden.messages))
        if marked == text or marked.translate(dict.fromkeys(map(ord, MARKS))) != text:
            return None
        edges = list(re.finditer(f"[{MARKS}]", marked))
        places = [edge.start() - before for before, edge in enumerate(edges)]
        if len(edges) % 2 or any((edge[0] == ANSWER_OPENS) == number % 2 for number, edge in enumerate(edges)):
            raise ChatTemplateError(f"{self.place}: a block generation stands in another one")
        return list(zip(places[::2], places[1::2], strict=True))

    def _prompted_spans(self, hidden: Hidden, text: str, last_only: bool) -> list[tuple[int, int]]:
        """First and stop of each answer, by what the conversation was before it."""
        last = len(hidden.messages) - 1
        if last_only and hidden.messages[last]["role"] != "assistant":
            raise ChatTemplateError("the last message is none of the assistant; there is no last answer to learn")
        spans = []
        for number, message in enumerate(hidden.messages):
            if message["role"] != "assistant" or (last_only and number < last):
                continue
            prompt = self._written(self._plain, hidden, number, add_generation_prompt=True)
            through = text if number == last else self._written(self._plain, hidden, number + 1)
            if not through.startswith(prompt) or not text.startswith(through):
                way_out = "" if last_only else "; learn each answer by itself (last_only)"
                raise ChatTemplateError(
                    f"{self.place}: what it writes of the first messages is not how it begins all {last + 1}, "
                    f"so where the answer in message {number + 1} stands cannot be told{way_out}"
                )
            answer = through[len(prompt) :]
            stop = self._controls.last_in(answer)
            length = len(answer) if stop is None or answer[stop:].strip() else stop
            spans.append((len(prompt), len(prompt) + length))
        return spans


def ends_in(folder: Path | str, tokenizer: Tokenizer) -> frozenset[int] | None:
    """Tokens that end what the model in a folder writes, where it was taught to converse; None for any other."""
    try:
        template = ChatTemplate.of(folder, tokenizer)
    except ChatTemplateError:
        return None
    return None if template is None else template.ends
