"""Threads for work that takes long and is no text being written: scores of prompts, attention maps, what is in a text.

They are apart from those that all requests share, so that a crowd that asks for such work holds up nobody else; and no more is
taken on than is done within the time of a request.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from inkstone.serving.api_errors import ApiError

T = TypeVar("T")


class BoundedPool:
    """`threads` that work, and at most `most` requests that they work for or that wait for them; each has so many `seconds`."""

    def __init__(self, name: str, *, threads: int, most: int, seconds: float):
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.name, self.most, self.seconds = name, most, seconds
        self.taken = 0  # only the event loop changes it

    async def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """What the jobs of one request come to, done one after another, so that others have their turn between them.

        When the request is given up, what waits is never begun. Raises ApiError where too many requests wait, or the time is over.
        """
        if self.taken >= self.most:
            raise ApiError(
                503,
                f"{self.taken} requests for {self.name} are under way already",
                code="overloaded",
                headers={"retry-after": "1"},
            )
        loop = asyncio.get_running_loop()
        self.taken += 1
        try:
            async with asyncio.timeout(self.seconds):
                return [await loop.run_in_executor(self.threads, job) for job in jobs]
        except TimeoutError:
            raise ApiError(408, f"the answer took longer than {self.seconds:g} s", code="timeout") from None
        finally:
            self.taken -= 1

    def close(self) -> None:
        """Begin nothing more."""
        self.threads.shutdown(wait=False, cancel_futures=True)
