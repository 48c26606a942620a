"""JSON answers, and how the API's description tells what an endpoint answers."""

from typing import Any

from starlette.responses import Response

from inkstone.serving.streaming import as_json

ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
WORDS = {
    400: "The request cannot be carried out",
    401: "The API key is missing or wrong",
    403: "The page that asks is of another origin",
    404: "There is no such model",
    408: "The time of a request is over",
    409: "It is there, or in use, already",
    413: "The request is too large",
    429: "Too many requests; Retry-After says when to ask again",
    500: "An error of the server",
    503: "The server has no room, or is about to stop",
    507: "The disk is full",
}


class JsonAnswer(Response):
    """JSON in UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes."""
        return as_json(content)


def documented(stream: bool = False, text: bool = False) -> dict[int | str, dict[str, Any]]:
    """What an endpoint answers, for the API's description; with `stream` events as well, with `text` plain text too."""
    kinds = {"application/json": {"schema": {"type": "object"}}}
    if stream:
        kinds["text/event-stream"] = {"schema": {"type": "string"}}
    if text:
        kinds["text/plain"] = {"schema": {"type": "string"}}
    errors = {
        status: {"description": words, "content": {"application/json": {"schema": ERROR_SCHEMA}}}
        for status, words in WORDS.items()
    }
    return {200: {"description": "The answer", "content": kinds}, **errors}
