"""/v1/completions: a text goes on."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from inkstone.inference.prefill import prompt_ids
from inkstone.inference.requests import Heard
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.asking import check_length, known_tokens, room_after, texts_to_write
from inkstone.serving.hearing import Hearing
from inkstone.serving.house import House, ServedLanguage
from inkstone.serving.prompt_scores import scored_prompt
from inkstone.serving.requests import CompletionRequest
from inkstone.serving.streaming import EventStream, answered
from inkstone.serving.written import Places, Written, completion_logprobs, joined, usage

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
        self.echoes = await answered(self.request, self._echoes()) if asked.echo else []
        requests = texts_to_write(
            asked,
            self.model,
            settings,
            self.prompts,
            max_tokens=DEFAULT_TOKENS if asked.max_tokens is None else max(1, asked.max_tokens),
            param="prompt",
            alternatives=asked.logprobs or 0,
            client=self.request.scope.get("client_name", ""),
        )
        self.written = [Written() for _ in requests]
        if asked.max_tokens == 0:  # nothing but the prompt is to be told
            requests = []
        self.hearing = await Hearing(self.model, requests, self.house).begin()
        if asked.stream:
            return EventStream(self._events(), self.hearing.close, settings.request_seconds)
        try:
            return JsonAnswer(await answered(self.request, self._whole()))
        finally:
            self.hearing.close()

    def _prompts(self) -> list[list[int]]:
        given, tokenizer = self._given(), self.model.tokenizer
        for each in given:
            check_length([each] if isinstance(each, str) else [], self.model, self.house.settings, "prompt")
        return [
            prompt_ids(self.model.model, each if isinstance(each, str) else known_tokens(each, tokenizer, "prompt"))
            for each in given
        ]

    def _given(self) -> list[Any]:
        """Texts, or lists of tokens."""
        given: Any = self.asked.prompt
        return given if isinstance(given, list) and not isinstance(given[0], int) else [given]

    async def _echoes(self) -> list[Heard]:
        """Each prompt as if it had been written: its text, and with `logprobs` the scores of its tokens."""
        found, model = [], self.model
        scored = [Heard()] * len(self.prompts) if self.asked.logprobs is None else await self._scored()
        for each, ids, known in zip(self._given(), self.prompts, scored, strict=True):
            text = each if isinstance(each, str) else model.tokenizer.decode(ids, special=True)
            # What stands before every text is no part of this one.
            added = len(model.tokenizer.begin) if isinstance(each, str) else 0
            found.append(Heard(text, known.ids[added:], known.log_probabilities[added:], known.alternatives[added:]))
        return found

    async def _scored(self) -> list[Heard]:
        """The prompts with the scores of their tokens. Raises ApiError for too many of them, and where too many ask for scores."""
        model, settings = self.model, self.house.settings
        if isinstance(model.model, EncoderDecoder):
            raise ApiError(400, f"echo: {model.name!r} reads its prompts as another text", param="echo")
        for ids in self.prompts:
            room_after(ids, model, settings, "prompt")
        if (tokens := sum(map(len, self.prompts))) > settings.most_scored_tokens:
            raise ApiError(
                400,
                f"prompt: {tokens:,} tokens are to be scored, but at most {settings.most_scored_tokens:,} in one request",
                param="prompt",
            )
        wanted = self.asked.logprobs or 0
        return await self.house.scoring.run([partial(scored_prompt, model.model, ids, wanted) for ids in self.prompts])

    async def _whole(self) -> dict[str, Any]:
        async for number, heard in self.hearing.events():
            self.written[number].hear(heard)
        choices = []
        for number, written in enumerate(self.written):
            heard = written.as_heard()
            if self.asked.echo:
                heard = joined(self.echoes[number // self.n], heard)
            logprobs = None if self.asked.logprobs is None else self._logprobs(heard, self._places(number))
            reason = written.reason or "length"
            choices.append({"index": number, "text": heard.text, "logprobs": logprobs, "finish_reason": reason})
        return {**self.head, "choices": choices, "usage": self._usage()}

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        with_usage = self.asked.stream_options is not None and self.asked.stream_options.include_usage
        rest: dict[str, Any] = {"usage": None} if with_usage else {}
        places = [] if self.asked.logprobs is None else [self._places(number) for number in range(len(self.written))]

        def event(number: int, heard: Heard, reason: str | None) -> dict[str, Any]:
            logprobs = self._logprobs(heard, places[number]) if places else None
            choice = {"index": number, "text": heard.text, "logprobs": logprobs, "finish_reason": reason}
            return {**self.head, "choices": [choice], **rest}

        if self.asked.echo:
            for number in range(len(self.written)):
                yield event(number, self.echoes[number // self.n], None if self.hearing.requests else "length")
        async for number, heard in self.hearing.events():
            written = self.written[number]
            written.hear(heard)
            if heard.text or written.reason or self.asked.logprobs is not None:
                yield event(number, heard, written.reason)
        if with_usage:
            yield {**self.head, "choices": [], "usage": self._usage()}

    def _places(self, number: int) -> Places:
        echoed = self.echoes[number // self.n] if self.asked.echo else None
        return Places(self.model.tokenizer, self.prompts[number // self.n], echoed)

    def _logprobs(self, heard: Heard, places: Places) -> dict[str, Any]:
        return completion_logprobs(heard, self.model.tokenizer, places, self.asked.logprobs or 0)

    def _usage(self) -> dict[str, Any]:
        return usage(sum(map(len, self.prompts)), self.written)
