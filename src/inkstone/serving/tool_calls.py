"""How a model calls tools: learned from its chat template, which shows in what form earlier calls are written.

The template is given a conversation in which a function of a made-up name was called. What it writes of that call is the form:

    <tool_call>\n{"name": NAME, "arguments": {...}}\n</tool_call>        (Hermes, Qwen: opening, object, closing)

Known are forms in which a call is one JSON object with a name and arguments, alone or in a list.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inkstone.serving.api_errors import ApiError
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.template_sandbox import ChatTemplateError

NAME, KEY, VALUE = "zzprobe", "zzkey", "zzvalue"
ASKED = {"role": "user", "content": "zzasked"}
CALL = {"id": "zzcall000", "type": "function", "function": {"name": NAME, "arguments": {KEY: VALUE}}}
TOOL = {
    "type": "function",
    "function": {
        "name": "zzother",
        "description": "zzwords",
        "parameters": {"type": "object", "properties": {"zzfield": {"type": "string"}}},
    },
}
MOST_CALLS = 64


@dataclass(frozen=True)
class Call:
    """A call of a function: its name, and its arguments as JSON."""

    name: str
    arguments: str

    def told(self) -> dict[str, Any]:
        """As the API tells it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}


@dataclass(frozen=True)
class ToolForm:
    """The form of calls: what stands before and after the object, and under which keys it has name and arguments."""

    opening: str
    closing: str
    name: str
    arguments: str

    @classmethod
    def of(cls, template: ChatTemplate) -> "ToolForm":
        """The form of a template. Raises ApiError for one that knows no tools, or writes calls in another way."""
        if not template.takes_tools:
            raise ApiError(400, "tools: the chat template of this model knows none", param="tools")
        try:
            before = template.render([ASKED], add_generation_prompt=True, tools=[TOOL])
            after = template.render([ASKED, {"role": "assistant", "content": "", "tool_calls": [CALL]}], tools=[TOOL])
        except ChatTemplateError as error:
            raise _unknown(f" ({error})") from None
        written = after[len(before) :] if after.startswith(before) else after[after.rfind("zzasked") + len("zzasked") :]
        for place in (match.start() for match in re.finditer(r"\{", written)):
            try:
                found, stop = json.JSONDecoder().raw_decode(written, place)
            except ValueError:
                continue
            keys = {key for key, value in found.items() if value == NAME}
            arguments = {key for key, value in found.items() if value in ({KEY: VALUE}, json.dumps({KEY: VALUE}))}
            if keys and arguments:
                closing = written[stop:]
                for end in template.ends:
                    closing = closing.partition(str(template.tokenizer.backend.id_to_token(end)))[0]
                return cls(written[:place].lstrip("\n"), closing.rstrip(), keys.pop(), arguments.pop())
        raise _unknown()

    @property
    def mark(self) -> str:
        """What tells that a call begins; empty where a call is the whole answer, an object that nothing opens."""
        return self.opening.strip()

    def begin(self, text: str) -> int | None:
        """Where in a text calls begin; None where there are none."""
        if not self.mark:
            return 0 if text.lstrip().startswith("{") else None
        return None if (place := text.find(self.mark)) < 0 else place

    def calls(self, text: str, known: Sequence[str]) -> list[Call]:
        """The calls in a text, from where they begin; none where one of them is broken or of a function that is not known."""
        found = []
        begin = self.begin(text)
        for value in self._objects("" if begin is None else text[begin:]):
            if not isinstance(value, Mapping) or value.get(self.name) not in known:
                return []
            arguments = value.get(self.arguments, {})
            found.append(
                Call(
                    str(value[self.name]),
                    arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
                )
            )
        return found[:MOST_CALLS]

    def schema(self, functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON schema of a call of one of these functions."""
        return {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        self.name: {"const": function["name"]},
                        self.arguments: _moved(
                            function.get("parameters") or {"type": "object"},
                            f"#/anyOf/{number}/properties/{self.arguments}",
                        ),
                    },
                    "required": [self.name, self.arguments],
                    "additionalProperties": False,
                }
                for number, function in enumerate(functions)
            ]
        }

    def _objects(self, text: str) -> Iterator[Any]:
        """The JSON objects in a text, one after another; what stands between them must be made of openings and closings."""
        rest = text
        between = re.compile(f"(?:{re.escape(self.mark)}|[\\s,;\\[]|<[^<>]*>)*")
        while True:
            rest = rest[between.match(rest).end() :]  # type: ignore[union-attr]
            if not rest.startswith("{"):
                if "{" in rest:
                    yield None
                return
            try:
                value, stop = json.JSONDecoder().raw_decode(rest)
            except (ValueError, RecursionError):
                yield None
                return
            yield value
            closing = self.closing.strip()
            rest = rest[stop:].lstrip()
            rest = rest.removeprefix(closing) if closing else rest


def _moved(schema: Any, place: str) -> Any:
    """A schema whose references to its own parts are right where it stands at `place` of another."""
    if isinstance(schema, list):
        return [_moved(each, place) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: place + value[1:]
        if key == "$ref" and isinstance(value, str) and value[:1] == "#"
        else _moved(value, place)
        for key, value in schema.items()
    }


def _unknown(more: str = "") -> ApiError:
    return ApiError(400, f"tools: how the chat template of this model writes calls is not known{more}", param="tools")
