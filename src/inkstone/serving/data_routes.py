"""Texts that are dropped onto the page: sent in blocks, looked at, and told what cleaning would drop and why."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.requests import Part
from inkstone.serving.studio import Studio

router = APIRouter(prefix="/studio/api/data", tags=["studio"], default_response_class=JsonAnswer)


class Announced(Part):
    """A text that is to come."""

    name: str = Field(min_length=1, max_length=1000, description="what it is called; its ending says what it is")
    bytes: int = Field(ge=0, lt=1 << 50)


@router.get("", responses=documented())
async def texts(request: Request) -> dict[str, Any]:
    """The texts that were sent, the newest first."""
    studio = _studio(request)
    found = await asyncio.to_thread(studio.folder.list_texts)
    return {"texts": [asdict(each) for each in found], "largest": studio.folder.largest_text}


@router.post("", responses=documented())
async def begin(asked: Announced, request: Request) -> dict[str, Any]:
    """Announce a text; the answer says under which number its blocks are to be sent."""
    number = await asyncio.to_thread(_studio(request).folder.begin_text, asked.name, asked.bytes)
    return {"id": number, "at": 0}


@router.put("/{number}", responses=documented())
async def block(number: str, request: Request, at: Annotated[int, Query(ge=0, lt=1 << 50)]) -> dict[str, Any]:
    """The bytes of a text from `at` on; the text is whole with the last of them."""
    content = await request.body()
    whole = await asyncio.to_thread(_studio(request).folder.take, number, at, content)
    return {"id": number, "at": at + len(content), "text": None if whole is None else asdict(whole)}


@router.get("/{number}", responses=documented())
async def look(
    number: str, request: Request, tokenizer: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """What is in a text: what cleaning drops and why, languages, duplicates, tokens; by the tokenizer of a run, where one is named."""
    return await _studio(request).facts_of_text(number, tokenizer)


@router.delete("/{number}", responses=documented())
async def forget(number: str, request: Request) -> dict[str, Any]:
    """Delete a text."""
    await asyncio.to_thread(_studio(request).folder.forget_text, number)
    return {"id": number, "deleted": True}


def _studio(request: Request) -> Studio:
    return request.app.state.studio
