"""A conversation as the API has it, written down by the chat template of the model."""

import json
from typing import Any

from inkstone.inference.constrained import Constraint
from inkstone.inference.schema_check import ConstraintError
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import ServedLanguage
from inkstone.serving.requests import ChatMessage, ChatRequest, ResponseFormat
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.template_sandbox import ChatTemplateError

RESERVED = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "self"}
)  # names of a template with places of their own


def template_of(model: ServedLanguage) -> ChatTemplate:
    """The template of a model that converses. Raises ApiError for a base model."""
    if model.template is None:
        raise ApiError(
            400,
            f"{model.name!r} has no chat template: it goes on with texts, at /v1/completions; "
            "to make it converse: inkstone tune chat DATA --from RUN",
            param="model",
        )
    return model.template


def conversation_ids(asked: ChatRequest, template: ChatTemplate, tools: list[dict[str, Any]] | None) -> list[int]:
    """The tokens after which the answer begins. Raises ApiError where the template refuses the conversation."""
    settings = dict(asked.chat_template_kwargs or {})
    if taken := sorted(RESERVED & settings.keys()):
        raise ApiError(400, f"chat_template_kwargs: {taken[0]!r} is given elsewhere", param="chat_template_kwargs")
    if tools:
        settings["tools"] = tools
    messages = [as_template_has_it(message) for message in asked.messages]
    try:
        return template.ids(messages, add_generation_prompt=True, **settings)
    except ChatTemplateError as error:
        raise ApiError(400, f"messages: {error}", param="messages") from None


def as_template_has_it(message: ChatMessage) -> dict[str, Any]:
    """A message as templates read it: its parts as one text, the arguments of calls as objects."""
    told = message.model_dump(exclude_none=True, exclude={"refusal"})
    told["content"] = "".join(message.words)
    for call in told.get("tool_calls", ()):
        call.pop("index", None)
        try:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"] or "{}")
        except (ValueError, RecursionError):
            raise ApiError(400, "messages: the arguments of a tool call are no JSON", param="messages") from None
    return told


def form_of(asked: ResponseFormat | None) -> Constraint | None:
    """The form that an answer keeps to. Raises ApiError for a schema that cannot be kept to."""
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return Constraint.json_schema({"type": "object"})
    schema = asked.json_schema and asked.json_schema.schema_
    if schema is None:
        raise ApiError(400, "response_format: json_schema without a schema", param="response_format.json_schema")
    try:
        return Constraint.json_schema(schema)
    except ConstraintError as error:
        raise ApiError(400, f"response_format: {error}", param="response_format.json_schema") from None
