"""/v1/tasks: models that were tuned for a task, asked about one input or many."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import House, ServedTask
from inkstone.serving.model_routes import described
from inkstone.serving.requests import Part, Text
from inkstone.serving.streaming import answered
from inkstone.serving.task_asking import Questions, ask

MOST_INPUTS = 2048

router = APIRouter(tags=["tasks"])


class TaskRequest(Part):
    """Inputs of a task: texts, or what else it takes, as `inkstone predict` does."""

    input: Any = Field(None, description="one input")
    inputs: Annotated[list[Any], Field(min_length=1, max_length=MOST_INPUTS)] | None = Field(
        None, description="several: texts, pairs, lists of words, records"
    )
    to: str | None = Field(None, max_length=64, description="of translators: the language to write")
    language: str | None = Field(None, max_length=64, description="of a Whisper: the language that is spoken")
    context: Text | None = Field(None, description="of runs that answer questions: the text that all inputs are about")


@router.get("/v1/tasks", responses=documented())
async def tasks(request: Request) -> dict[str, Any]:
    """The models that were tuned for a task."""
    house: House = request.app.state.house
    return {"object": "list", "data": [described(model) for model in house if isinstance(model, ServedTask)]}


@router.post("/v1/tasks/{name}", responses=documented())
async def task(name: str, asked: TaskRequest, request: Request) -> Response:
    """What the model says to each input; `name` is that of a model."""
    house: House = request.app.state.house
    model = house.tuned(name)
    if (asked.input is None) == (asked.inputs is None):
        raise ApiError(400, "give either input or inputs", param="input")
    inputs = [asked.input] if asked.inputs is None else asked.inputs
    if model.task == "transcribe":
        inputs = [_recording(each, number, house) for number, each in enumerate(inputs, 1)]
    questions = Questions(inputs, asked.to, asked.language, asked.context)
    answers, tokens = await answered(request, ask(model, questions, house))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JsonAnswer({"object": "list", "model": model.name, "task": model.task, "data": answers, "usage": usage})


def _recording(given: Any, number: int, house: House) -> bytes:
    """A recording must come as its bytes: a path would be one on the server."""
    from inkstone.serving.recordings import checked

    encoded = given.get("audio") if isinstance(given, dict) else given
    if not isinstance(encoded, str):
        raise ApiError(400, f"input {number} is no recording; send the bytes of the file in base64", param="inputs")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, f"input {number} is no base64 of a sound file", param="inputs") from None
    return checked(content, house.settings)
