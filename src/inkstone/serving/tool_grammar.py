"""The form of an answer in which a model calls tools by itself: free text, and where a call begins the schema of that call."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from inkstone.inference.constrained import Constraint
from inkstone.serving.tool_calls import ToolForm
from inkstone.tokens.chat_template import ChatTemplate

NAME = "a call of a tool"
BLANK = r"/[ \t\r\n]{0,8}/"
ANYTHING = r"/(.|\n)*/"
SEPARATORS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as forced calls have them


def calling(form: ToolForm, template: ChatTemplate, functions: Sequence[Mapping[str, Any]]) -> Constraint:
    """Text without bounds, in which every call is of one of these functions, with the arguments that its parameters allow.

    A call begins with the mark of the form, spelled or a special token; where the form has none, with the brace that an answer
    begins with. After a call stands what closes it, then text or calls again. Special tokens may stand in the text.

    Raises ConstraintError for parameters that are no schema that can be kept to.
    """
    schema = form.schema(functions)
    Constraint.json_schema(schema)  # says what is wrong with it
    special = template.tokenizer.special_ids - template.ends
    rules = _marked(form, template, special) if form.mark else _bare(special)
    rules.append(f"json: %json {json.dumps({**schema, 'x-guidance': SEPARATORS})}")
    return Constraint("\n".join(rules), NAME, special)


def _marked(form: ToolForm, template: ChatTemplate, special: frozenset[int]) -> list[str]:
    token = next((number for number in template.own_ids(form.mark) if number in special), None)
    mark = form.mark if token is None else str(template.tokenizer.backend.id_to_token(token))
    rest = form.mark.partition(mark)[2].strip()
    further = f'("," {BLANK} json {BLANK})*' if form.mark.endswith("[") else ""
    parts = ["call", *_tokens("said ", special - {token})]
    return [
        f"start: ({' | '.join(parts)})* said",
        f"call: opened {BLANK} {_spelled(rest)} {BLANK} json {BLANK} {further} {_spelled(form.closing.strip())}",
        f"opened[lazy]: {ANYTHING} {_spelled(mark)}" if token is None else f"opened: said <[{token}]>",
        "said: SAID?",  # without the mark, or a call could pass for text
        rf"SAID: /(.|\n)+/ & ~/(.|\n)*{_in_pattern(mark)}(.|\n)*/",
    ]


def _bare(special: frozenset[int]) -> list[str]:
    said = [r"/[^{ \t\r\n](.|\n)*/", *_tokens("", special)]
    more = " | ".join([r"/(.|\n)+/", *_tokens("", special)])
    return [f"start: {BLANK} (json {BLANK} | ({' | '.join(said)}) ({more})*)?"]


def _tokens(before: str, ids: Collection[int]) -> list[str]:
    """Any one of these tokens; nothing where there are none."""
    return [f"{before}<[{','.join(map(str, sorted(ids)))}]>"] if ids else []


def _spelled(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else ""


def _in_pattern(text: str) -> str:
    return re.sub(r"[^\w<>]", lambda found: rf"\x{{{ord(found[0]):x}}}", text)
