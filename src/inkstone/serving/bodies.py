"""The body of a request: read as a whole, within bounds of size, time and depth, before anything is made of it."""

import asyncio
import json
from typing import Any

from starlette.types import Message, Receive

from inkstone.serving.api_errors import ApiError
from inkstone.serving.settings import MEGABYTE

DRAINED = 64 * MEGABYTE  # of a request that is too large, read and thrown away, so that its client hears why
DEEPEST = 128  # levels of lists and objects in JSON; whoever walks through them does so by recursion


async def whole_body(receive: Receive, most: int, seconds: float) -> bytes:
    """All that the client sends. Raises ApiError for more than `most` bytes, and where it takes longer than so many seconds."""
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(seconds):
            while more and size <= most + DRAINED:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ApiError(400, "the request breaks off")
                part = message.get("body", b"")
                size += len(part)
                if size <= most:
                    parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise ApiError(408, f"the request was not sent within {seconds:g} s", code="timeout") from None
    if size > most:
        raise ApiError(413, f"the request is larger than {most:,} bytes, the most there may be", code="too_large")
    return b"".join(parts)


async def check_depth(body: bytes) -> None:
    """Raises ApiError for JSON that is nested too deeply. What is no JSON is left to those who read it."""
    if body.count(b"[") + body.count(b"{") > DEEPEST and await asyncio.to_thread(_too_deep, body):
        raise ApiError(400, f"the request is nested deeper than {DEEPEST} levels", code="too_deep")


def replayed(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, and after it what comes from the client itself: that it hung up."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _too_deep(body: bytes) -> bool:
    try:
        level: list[Any] = [json.loads(body)]
    except RecursionError:
        return True
    except ValueError:
        return False
    for _ in range(DEEPEST + 1):
        inside = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for each in inside for value in each]
        if not level:
            return False
    return True
