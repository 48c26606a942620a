"""Errors as the API tells them: `{"error": {"message", "type", "param", "code"}}` with the status code that fits."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inkstone.errors import InkstoneError, MissingExtraError
from inkstone.tokens.tokenizer import whole_characters

LONGEST_MESSAGE = 2000  # characters
# status: the kind of the error, as OpenAI's clients know them
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "service_unavailable_error",
}
# How pydantic calls the kinds of a value that may be of several, in the place of an error.
KIND = re.compile(r"constrained-|function-|list\[|dict\[|literal\[|(?:str|int|float|bool|list)$|[A-Z]")
log = logging.getLogger("inkstone.serving")


class ApiError(Exception):
    """What a client is told: a status, words, and which parameter is at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        message = whole_characters(self.message)[0]
        if len(message) > LONGEST_MESSAGE:
            message = message[:LONGEST_MESSAGE] + " …"
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body, self.status, self.headers)


def as_api_error(error: BaseException) -> ApiError:
    """Any error as the client is told: what a person can mend with its words, what should not happen without them."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InkstoneError):
        status = 503 if isinstance(error, MissingExtraError) else getattr(error, "status", 400)
        return ApiError(status, str(error))
    log.error("a request failed", exc_info=error)
    return ApiError(500, "the server came upon an error of its own; its log says more")


def add_handlers(app: FastAPI) -> None:
    """Let what is refused be told in the form of the API; what should not happen, `watch.py` tells."""

    @app.exception_handler(ApiError)
    @app.exception_handler(InkstoneError)
    async def told(request: Request, error: Exception) -> JSONResponse:
        return as_api_error(error).response()

    @app.exception_handler(RequestValidationError)
    async def refused(request: Request, error: RequestValidationError) -> JSONResponse:
        # Where a value may be of several kinds, there is an error for each: the one that goes deepest is what was meant.
        first = max(error.errors(), key=lambda each: len(each["loc"]))
        # Of what is no JSON the place is an offset, and no name.
        place = () if first["type"] == "json_invalid" else first["loc"][1:]
        param = ".".join(str(part) for part in place if not KIND.match(str(part))) or None
        return ApiError(400, _words(first, param), param=param, code=_code(first)).response()

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> JSONResponse:
        words = {404: f"there is nothing at {request.url.path}", 405: f"{request.url.path} takes no {request.method}"}
        message = words.get(error.status_code, str(error.detail))
        return ApiError(error.status_code, message, headers=error.headers).response()


def _words(first: Any, param: str | None) -> str:
    if first["type"] == "json_invalid":
        return f"the request is no JSON: {first.get('ctx', {}).get('error', first['msg'])}, at character {first['loc'][-1]}"
    if first["type"] == "extra_forbidden":
        return f"unknown parameter: {param!r}"
    if first["type"] == "missing":
        return f"missing parameter: {param!r}" if param else "the request has no body; send JSON"
    if param is None:
        return "the request must be a JSON object, sent with content-type: application/json"
    return f"{param}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _code(first: Any) -> str | None:
    return {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}.get(first["type"])
