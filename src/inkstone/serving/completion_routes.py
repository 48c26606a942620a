"""/v1/completions: a text goes on."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from inkstone.inference.prefill import prompt_ids
from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.asking import known_tokens, texts_to_write
from inkstone.serving.hearing import Hearing
from inkstone.serving.house import House, ServedLanguage
from inkstone.serving.requests import CompletionRequest
from inkstone.serving.streaming import EventStream, answered
from inkstone.serving.written import Written, completion_logprobs, usage

DEFAULT_TOKENS = 16  # as OpenAI's API has it

router = APIRouter(tags=["writing"])


@router.post("/v1/completions", responses=documented(stream=True))
async def completions(asked: CompletionRequest, request: Request) -> Response:
    """Go on with a text, or with several."""
    house: House = request.app.state.house
    model = house.language(asked.model)
    return await Completions(asked, model, house, request).answer()


class Completions:
    """One request."""

    def __init__(self, asked: CompletionRequest, model: ServedLanguage, house: House, request: Request):
        self.asked, self.model, self.house, self.request = asked, model, house, request
        self.head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model.name,
        }
        self.n = asked.n or 1

    async def answer(self) -> Response:
        """The whole answer, or the stream of it."""
        asked, settings = self.asked, self.house.settings
        if asked.best_of not in (None, self.n):
            raise ApiError(400, "best_of: only the value of n is possible", param="best_of")
        if asked.max_tokens == 0 and not asked.echo:
            raise ApiError(400, "max_tokens: 0 needs echo, else nothing is asked for", param="max_tokens")
        self.prompts = await asyncio.to_thread(self._prompts)
        requests = texts_to_write(
            asked,
            self.model,
            settings,
            self.prompts,
            max_tokens=DEFAULT_TOKENS if asked.max_tokens is None else asked.max_tokens,
            param="prompt",
            alternatives=asked.logprobs or 0,
            client=self.request.scope.get("client_name", ""),
        )
        self.ends = frozenset({self.model.tokenizer.end})
        self.written = [Written() for _ in requests]
        self.hearing = await Hearing(self.model, requests, self.house).begin()
        if asked.stream:
            return EventStream(self._events(), self.hearing.close, settings.request_seconds)
        try:
            return JsonAnswer(await answered(self.request, self._whole()))
        finally:
            self.hearing.close()

    def _prompts(self) -> list[list[int]]:
        given: Any = self.asked.prompt
        several = isinstance(given, list) and not isinstance(given[0], int)
        tokenizer = self.model.tokenizer
        return [
            prompt_ids(self.model.model, each if isinstance(each, str) else known_tokens(each, tokenizer, "prompt"))
            for each in (given if several else [given])
        ]

    async def _whole(self) -> dict[str, Any]:
        async for number, heard in self.hearing.events():
            self.written[number].hear(heard)
        choices = [self._choice(number, written.text, written) for number, written in enumerate(self.written)]
        return {**self.head, "choices": choices, "usage": self._usage()}

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        with_usage = self.asked.stream_options is not None and self.asked.stream_options.include_usage
        rest = {"usage": None} if with_usage else {}
        offsets = [0] * len(self.written)
        async for number, heard in self.hearing.events():
            written = self.written[number]
            written.hear(heard)
            choice = {"index": number, "text": heard.text, "logprobs": None, "finish_reason": written.reason}
            if self.asked.logprobs is not None:
                choice["logprobs"], offsets[number] = completion_logprobs(
                    heard, self.model.tokenizer, self.ends, offsets[number], self.asked.logprobs
                )
            yield {**self.head, "choices": [choice], **rest}
        if with_usage:
            yield {**self.head, "choices": [], "usage": self._usage()}

    def _choice(self, number: int, text: str, written: Written) -> dict[str, Any]:
        logprobs = None
        if self.asked.logprobs is not None:
            logprobs, _ = completion_logprobs(
                written.as_heard(), self.model.tokenizer, self.ends, 0, self.asked.logprobs
            )
        return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": written.reason}

    def _usage(self) -> dict[str, Any]:
        return usage(sum(map(len, self.prompts)), self.written)
