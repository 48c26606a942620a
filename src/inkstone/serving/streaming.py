"""Answers that are sent while they are written, and what happens when nobody waits for them any more."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from inkstone.serving.api_errors import as_api_error
from inkstone.tokens.tokenizer import whole_characters

DONE = b"data: [DONE]\n\n"


class ClientGone(Exception):
    """Nobody waits for the answer."""


class EventStream(Response):
    """Server-sent events: each object as a line of JSON, then `[DONE]`.

    `close` is called in every case, at the end, when the client hangs up, and when it was gone before the first event. An error
    on the way becomes an event in the form of the API, after which the stream ends.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[dict[str, Any]], close: Callable[[], None], seconds: float):
        super().__init__(None, 200, {"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self.events, self.close, self.seconds = events, close, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client is gone."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            # A client that reads too slowly is let go once the time of a request is over.
            async with asyncio.timeout(self.seconds):
                await unless_gone(receive, self._send_all(send))
        except (ClientGone, TimeoutError, OSError):
            pass
        finally:
            self.close()

    async def _send_all(self, send: Send) -> None:
        async def put(data: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        try:
            async for event in self.events:
                await put(as_event(event))
            await put(DONE)
        except Exception as error:
            await put(as_event(as_api_error(error).body))
        await put(b"", more=False)


def as_event(event: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + as_json(event) + b"\n\n"


def as_json(value: Any) -> bytes:
    """JSON in UTF-8; lone surrogates, which it cannot hold, become U+FFFD."""
    return whole_characters(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))[0].encode()


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, Any]) -> Any:
    """What the work comes to; it is cancelled when the client hangs up. Raises ClientGone then."""
    doing, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise ClientGone
    finally:
        for task in (doing, gone):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def answered(request: Request, work: Coroutine[Any, Any, Any]) -> Any:
    """`unless_gone` for a request whose body is read."""
    return await unless_gone(request.receive, work)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
