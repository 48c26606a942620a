"""/v1/chat/completions: a conversation goes on."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from inkstone.inference.constrained import Constraint
from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.asking import check_length, texts_to_write
from inkstone.serving.conversing import conversation_ids, form_of, template_of
from inkstone.serving.hearing import Hearing
from inkstone.serving.house import House, ServedLanguage
from inkstone.serving.requests import ChatRequest
from inkstone.serving.streaming import EventStream, answered
from inkstone.serving.tool_use import Gate, ToolUse
from inkstone.serving.written import Written, chat_logprobs, usage

router = APIRouter(tags=["writing"])


@router.post("/v1/chat/completions", responses=documented(stream=True))
async def chat_completions(asked: ChatRequest, request: Request) -> Response:
    """Answer in a conversation."""
    house: House = request.app.state.house
    return await ChatCompletions(asked, house.language(asked.model), house, request).answer()


class ChatCompletions:
    """One request."""

    def __init__(self, asked: ChatRequest, model: ServedLanguage, house: House, request: Request):
        self.asked, self.model, self.house, self.request = asked, model, house, request
        self.template = template_of(model)
        self.head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion.chunk" if asked.stream else "chat.completion",
            "created": int(time.time()),
            "model": model.name,
        }

    async def answer(self) -> Response:
        """The whole answer, or the stream of it."""
        asked, settings = self.asked, self.house.settings
        if asked.top_logprobs is not None and not asked.logprobs:
            raise ApiError(400, "top_logprobs: needs logprobs", param="top_logprobs")
        constraint = await asyncio.to_thread(self._prepare)
        requests = texts_to_write(
            asked,
            self.model,
            settings,
            [self.prompt],
            max_tokens=_most_tokens(asked),
            param="messages",
            ends=self.template.ends,
            constraint=constraint,
            alternatives=asked.top_logprobs or 0,
            client=self.request.scope.get("client_name", ""),
        )
        self.written = [Written() for _ in requests]
        self.hearing = await Hearing(self.model, requests, self.house).begin()
        if asked.stream:
            return EventStream(self._events(), self.hearing.close, settings.request_seconds)
        try:
            return JsonAnswer(await answered(self.request, self._whole()))
        finally:
            self.hearing.close()

    def _prepare(self) -> Constraint | None:
        """Write the conversation down; the form that the answer is to have."""
        self.tools = ToolUse.of(self.asked, self.template)
        check_length(
            (words for each in self.asked.messages for words in each.words), self.model, self.house.settings, "messages"
        )
        self.prompt = conversation_ids(self.asked, self.template, self.tools.definitions if self.tools else None)
        if self.tools is None:
            return form_of(self.asked.response_format)
        self.prompt += self.tools.opening_ids
        return self.tools.constraint()

    async def _whole(self) -> dict[str, Any]:
        async for number, heard in self.hearing.events():
            self.written[number].hear(heard)
        choices = []
        for number, written in enumerate(self.written):
            logprobs = None
            if self.asked.logprobs:
                logprobs = chat_logprobs(written.as_heard(), self.model.tokenizer, self.template.ends)
            said, calls = (written.text, []) if self.tools is None else self.tools.read(written)
            message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
            if calls:
                message["tool_calls"] = [call.told() for call in calls]
            reason = "tool_calls" if calls else written.reason
            choices.append({"index": number, "message": message, "logprobs": logprobs, "finish_reason": reason})
        return {**self.head, "choices": choices, "usage": self._usage()}

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        with_usage = self.asked.stream_options is not None and self.asked.stream_options.include_usage
        rest: dict[str, Any] = {"usage": None} if with_usage else {}

        def event(number: int, delta: dict[str, Any], logprobs: Any = None, reason: str | None = None):
            choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
            return {**self.head, "choices": [choice], **rest}

        gates = [Gate(self.tools) for _ in self.written]
        for number in range(len(self.written)):
            yield event(number, {"role": "assistant", "content": "", "refusal": None})
        async for number, heard in self.hearing.events():
            written = self.written[number]
            written.hear(heard)
            logprobs = None
            if self.asked.logprobs:
                logprobs = chat_logprobs(heard, self.model.tokenizer, self.template.ends)
            text = gates[number].push(heard)
            if text or (logprobs and logprobs["content"]):
                yield event(number, {"content": text}, logprobs)
            if written.reason is not None:
                left, calls = gates[number].finish(written)
                if left:
                    yield event(number, {"content": left})
                if calls:
                    told = [{"index": place, **call.told()} for place, call in enumerate(calls)]
                    yield event(number, {"tool_calls": told})
                yield event(number, {}, reason="tool_calls" if calls else written.reason)
        if with_usage:
            yield {**self.head, "choices": [], "usage": self._usage()}

    def _usage(self) -> dict[str, Any]:
        return usage(len(self.prompt), self.written)


def _most_tokens(asked: ChatRequest) -> int | None:
    """Under its old name or its new one. Raises ApiError where both are given and differ."""
    old, new = asked.max_tokens, asked.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise ApiError(
            400,
            f"max_tokens = {old} and max_completion_tokens = {new} are two names of one bound; give one of them",
            param="max_tokens",
        )
    return new if old is None else old
