"""Marks on answers over HTTP: kept, listed, taken back, and given out as examples for training."""

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.marks import Mark, checked, learnable
from inkstone.serving.requests import Part, Text
from inkstone.serving.studio import Studio

LINES: dict[str, Any] = {
    "description": "JSON lines",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
}

router = APIRouter(prefix="/studio/api/feedback", tags=["studio"], default_response_class=JsonAnswer)


class Said(Part):
    """A message before the answer."""

    role: str = Field(max_length=20)
    content: Text


class Marked(Part):
    """What a person said of an answer: that it is good, bad, or better than another one."""

    kind: Literal["up", "down", "better"]
    messages: list[Said] = Field(min_length=1, max_length=1000)
    answer: Text
    other: Text | None = Field(None, description="of `better`, the answer that was not preferred; else it says nothing")
    model: str = Field("", max_length=256)
    other_model: str = Field("", max_length=256)
    settings: dict[str, Any] = Field(default_factory=dict)


@router.post("", responses=documented())
async def keep(asked: Marked, request: Request) -> dict[str, Any]:
    """Keep a mark; once this is answered it is on the disk."""
    compared = asked.kind == "better"
    mark = checked(
        asked.kind,
        [message.model_dump() for message in asked.messages],
        asked.answer,
        asked.other if compared else None,
        model=asked.model,
        other_model=asked.other_model if compared else "",
        settings=asked.settings,
    )
    return (await asyncio.to_thread(_studio(request).folder.feedback.add, mark)).to_dict()


@router.get("", responses=documented())
async def latest(
    request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50, before: Annotated[float | None, Query()] = None
) -> dict[str, Any]:
    """The newest marks, how many there are of each kind, and what could be learned of them."""
    return await asyncio.to_thread(_latest, _studio(request), limit, before)


@router.delete("/{number}", responses=documented())
async def forget(number: int, request: Request) -> dict[str, Any]:
    """Take a mark back."""
    if not -(1 << 63) <= number < 1 << 63 or not await asyncio.to_thread(
        _studio(request).folder.feedback.delete, number
    ):
        raise ApiError(404, f"there is no mark {number}")
    return {"id": number, "deleted": True}


@router.get("/export", response_class=StreamingResponse, responses={**documented(), 200: LINES})
async def export(request: Request, form: Literal["pairs", "examples", "marks"] = "pairs") -> StreamingResponse:
    """JSON lines: pairs as `inkstone tune prefer` takes them, good answers as `inkstone tune chat` takes them, or the marks."""
    marks = await asyncio.to_thread(_all, _studio(request))
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in _records(marks, form))
    headers = {"Content-Disposition": f'attachment; filename="{form}.jsonl"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


def _records(marks: list[Mark], form: str) -> Iterator[dict[str, Any]]:
    if form == "marks":
        return (mark.to_dict() for mark in marks)
    if form == "pairs":
        return (pair.record() for pair in learnable(marks).pairs)
    good = {(mark.question, mark.answer.strip()): mark for mark in marks if mark.kind == "up"}
    return (
        {"messages": [*map(dict, mark.messages), {"role": "assistant", "content": mark.answer}]}
        for mark in good.values()
    )


def _latest(studio: Studio, limit: int, before: float | None) -> dict[str, Any]:
    marks = studio.folder.feedback.latest(limit, before)
    return {
        "marks": [mark.to_dict() for mark in marks],
        "counts": studio.folder.feedback.counts(),
        "lesson": studio.lesson(_all(studio)),
        "file": studio.folder.feedback.path.name,
    }


def _all(studio: Studio) -> list[Mark]:
    return studio.folder.feedback.all() if studio.folder.feedback.path.exists() else []


def _studio(request: Request) -> Studio:
    return request.app.state.studio
