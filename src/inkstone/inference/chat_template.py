"""The chat template of a model: how a conversation is written down in tokens.

A template is a Jinja file that comes with the model, so it may be a stranger's: it runs in Jinja's sandbox, where it
can read the messages and nothing else.
"""

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inkstone.errors import InkstoneError
from inkstone.tokens.tokenizer import TURN_END, Tokenizer

FILE_NAME = "chat_template.jinja"

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


class ChatTemplateError(InkstoneError):
    """A chat template that is no valid Jinja or refuses a conversation."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template by its source; `path` is for messages to people."""

    source: str
    path: Path

    @classmethod
    def of(cls, folder: Path) -> "ChatTemplate | None":
        """The template in a model folder, or None for a base model, which has none."""
        path = Path(folder) / FILE_NAME
        return cls(path.read_text(encoding="utf-8"), path) if path.is_file() else None

    def render(self, messages: Sequence[Message], tokenizer: Tokenizer) -> str:
        """The conversation as text that ends where the model's answer begins.

        Raises ChatTemplateError with the file, the line and the reason.
        """
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
        end = _name(tokenizer, tokenizer.end)
        begin = _name(tokenizer, tokenizer.begin[0]) if tokenizer.begin else ""
        try:
            template = environment.from_string(self.source)
            return template.render(
                messages=list(messages), add_generation_prompt=True, bos_token=begin, eos_token=end, tools=None
            )
        except jinja2.TemplateSyntaxError as error:
            raise ChatTemplateError(f"{self.path}:{error.lineno}: {error.message}") from None
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise ChatTemplateError(f"{self.path}: {error}") from None

    def ids(self, messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
        """The tokens of the conversation. Only the template can write a special token: the same letters in a message
        are ordinary text, so that nobody can end their own turn and speak in the model's name.
        """
        special = {_name(tokenizer, number): number for number in sorted(tokenizer.special_ids)}
        if not special:
            return tokenizer.encode(self.render(messages, tokenizer))
        any_special = re.compile("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)))
        hidden = [
            {**message, "content": any_special.sub(lambda match: _mark(special[match[0]]), message["content"])}
            for message in messages
        ]
        text = self.render(hidden, tokenizer)
        names = {_mark(number): token for token, number in special.items()}
        ids: list[int] = []
        place = 0
        for match in [*any_special.finditer(text), None]:
            between = text[place : match.start() if match else len(text)]
            for mark, token in names.items():
                between = between.replace(mark, token)
            ids += tokenizer.encode(between) if between else []
            if match:
                ids.append(special[match[0]])
                place = match.end()
        return ids


def answer_ends(tokenizer: Tokenizer) -> set[int]:
    """Tokens that end an answer: the end of a turn, where the tokenizer has it, and the end of a document."""
    turn_end = tokenizer.backend.token_to_id(TURN_END)
    return {tokenizer.end} if turn_end is None else {tokenizer.end, turn_end}


def _name(tokenizer: Tokenizer, number: int) -> str:
    return tokenizer.backend.id_to_token(number) or ""


def _mark(number: int) -> str:
    return f"\ue000{number}\ue001"  # private-use characters, which no template looks for


def _to_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
