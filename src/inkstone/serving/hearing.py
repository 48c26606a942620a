"""Between the engine, which writes on a thread of its own, and the requests, which wait in the event loop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial

from inkstone.inference.requests import Busy, EngineError, Heard, Request, Writing
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import House, ServedLanguage

log = logging.getLogger("inkstone.serving")


class Hearing:
    """Several texts under way. `close` stops what is still being written; it must be called."""

    def __init__(self, model: ServedLanguage, requests: Sequence[Request], house: House):
        self.model, self.requests, self.house = model, requests, house
        self.seconds = house.settings.request_seconds
        self.inbox: asyncio.Queue[tuple[int, Heard]] = asyncio.Queue()
        self.writings: list[Writing] = []
        self.closed = False
        self.texts = [""] * len(requests)  # what was written, where it is to be logged

    async def begin(self) -> "Hearing":
        """Hand all texts to the engine; of several none is written if one is refused.

        Raises ApiError where the engine has no room, and what it says against a request.
        """
        loop = asyncio.get_running_loop()
        self.deadline = loop.time() + self.seconds
        try:
            await asyncio.to_thread(self._submit, loop)
        except BaseException as error:
            self.close()
            if isinstance(error, Busy | EngineError):
                raise ApiError(503, str(error), code="overloaded", headers={"retry-after": "1"}) from None
            raise
        return self

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        for number, request in enumerate(self.requests):
            if self.closed:  # nobody waits any more
                break
            self.writings.append(self.model.engine.submit(request, partial(_tell, loop, partial(self._put, number))))
        if self.closed:  # what was taken since then is given up as well
            self.close()

    async def events(self) -> AsyncIterator[tuple[int, Heard]]:
        """What becomes known, with the number of its text, until all are whole.

        Raises what the engine says is wrong, and ApiError once the time of a request is over.
        """
        going = len(self.requests)
        while going:
            try:
                async with asyncio.timeout_at(self.deadline):
                    number, heard = await self.inbox.get()
            except TimeoutError:
                raise ApiError(408, f"the answer took longer than {self.seconds:g} s", code="timeout") from None
            if isinstance(heard.error, EngineError):
                raise ApiError(503 if self.house.closing else 500, str(heard.error)) from heard.error
            if heard.error is not None:
                raise heard.error
            if self.house.settings.log_content:
                self.texts[number] += heard.text
            going -= heard.generated is not None
            yield number, heard

    def close(self) -> None:
        """Stop writing what is not yet whole."""
        if self.house.settings.log_content and not self.closed:
            prompts = [self.model.tokenizer.decode(request.prompt, special=True) for request in self.requests]
            log.info("%s was asked %r and wrote %r", self.model.name, list(dict.fromkeys(prompts)), self.texts)
        self.closed = True
        for writing in self.writings:
            self.model.engine.cancel(writing)

    def _put(self, number: int, heard: Heard) -> None:
        self.inbox.put_nowait((number, heard))


def _tell(loop: asyncio.AbstractEventLoop, put: Callable[[Heard], None], heard: Heard) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(put, heard)
