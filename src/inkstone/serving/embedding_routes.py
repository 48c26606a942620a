"""/v1/embeddings: texts as vectors, by a run that was tuned for it."""

import asyncio
import base64
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.asking import known_tokens
from inkstone.serving.house import House, ServedTask
from inkstone.serving.requests import Part, Text, TokenId
from inkstone.serving.streaming import answered
from inkstone.serving.task_asking import Questions, ask

MOST_TEXTS = 2048  # as OpenAI's API has it

router = APIRouter(tags=["tasks"])


class EmbeddingRequest(Part):
    """Texts, or the tokens of texts."""

    model: str | None = Field(None, max_length=256)
    input: (
        Text
        | Annotated[list[TokenId], Field(min_length=1)]
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
        | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1, max_length=MOST_TEXTS)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = Field(None, description="only what the model has")
    user: str | None = Field(None, max_length=512)


@router.post("/v1/embeddings", responses=documented())
async def embeddings(asked: EmbeddingRequest, request: Request) -> Response:
    """The vector of each text, of length one."""
    house: House = request.app.state.house
    model = house.tuned(asked.model, "embed")
    texts = await asyncio.to_thread(_texts, asked, model)
    answers, tokens = await answered(request, ask(model, Questions(texts), house))
    data = []
    for number, answer in enumerate(answers):
        vector = answer["vector"]
        if asked.dimensions not in (None, len(vector)):
            raise ApiError(400, f"dimensions: the vectors of {model.name!r} have {len(vector)}", param="dimensions")
        told: Any = vector
        if asked.encoding_format == "base64":
            told = base64.b64encode(np.array(vector, dtype="<f4").tobytes()).decode()
        data.append({"object": "embedding", "index": number, "embedding": told})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JsonAnswer({"object": "list", "data": data, "model": model.name, "usage": usage})


def _texts(asked: EmbeddingRequest, model: ServedTask) -> list[str]:
    given: Any = asked.input
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    tokenizer = model.tokenizer
    texts = [
        each if isinstance(each, str) else tokenizer.decode(known_tokens(each, tokenizer, "input")) for each in given
    ]
    if not all(texts):
        raise ApiError(400, "input: an empty text has no vector", param="input")
    return texts
