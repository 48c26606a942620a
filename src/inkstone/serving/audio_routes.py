"""/v1/audio: recordings as text, by a run that was tuned to transcribe or by a Whisper."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import PlainTextResponse, Response

from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.captions import segments_of, srt, vtt
from inkstone.serving.house import House
from inkstone.serving.recordings import checked
from inkstone.serving.streaming import answered
from inkstone.serving.task_asking import Questions, ask
from inkstone.tasks.base import HearsLanguages

Format = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity = Literal["word", "segment"]
OF_BOTH = ("file", "model", "prompt", "response_format", "temperature")
OF_TRANSCRIPTIONS = (*OF_BOTH, "language", "timestamp_granularities[]", "stream")

router = APIRouter(tags=["tasks"])


@router.post("/v1/audio/transcriptions", responses=documented(text=True))
async def transcriptions(
    request: Request,
    file: Annotated[UploadFile, File(description="wav, flac, mp3, ogg and others")],
    model: Annotated[str | None, Form(max_length=256)] = None,
    language: Annotated[
        str | None, Form(max_length=64, description="of a Whisper: the language that is spoken")
    ] = None,
    prompt: Annotated[Literal[""] | None, Form(description="no model here takes one")] = None,
    response_format: Annotated[Format, Form()] = "json",
    temperature: Annotated[float | None, Form(description="only 0: the likeliest text is told")] = None,
    granularities: Annotated[list[Granularity] | None, Form(alias="timestamp_granularities[]")] = None,
    stream: Annotated[bool | None, Form(description="a transcript comes as a whole")] = None,
) -> Response:
    """What is said in a recording."""
    await _refuse(request, OF_TRANSCRIPTIONS, temperature)
    if stream:
        raise ApiError(400, "stream: a transcript comes as a whole; leave stream out", param="stream")
    if granularities and response_format != "verbose_json":
        raise ApiError(
            400, "timestamp_granularities: needs response_format verbose_json", param="timestamp_granularities"
        )
    words = "word" in (granularities or ())
    return await _heard(request, file, model, language, None, response_format, words)


@router.post("/v1/audio/translations", responses=documented(text=True))
async def translations(
    request: Request,
    file: Annotated[UploadFile, File(description="wav, flac, mp3, ogg and others")],
    model: Annotated[str | None, Form(max_length=256)] = None,
    prompt: Annotated[Literal[""] | None, Form(description="no model here takes one")] = None,
    response_format: Annotated[Format, Form()] = "json",
    temperature: Annotated[float | None, Form(description="only 0: the likeliest text is told")] = None,
) -> Response:
    """What is said in a recording, in English; by a Whisper."""
    await _refuse(request, OF_BOTH, temperature)
    return await _heard(request, file, model, None, "en", response_format, False)


async def _heard(
    request: Request,
    file: UploadFile,
    name: str | None,
    language: str | None,
    to: str | None,
    form: Format,
    words: bool,
) -> Response:
    house: House = request.app.state.house
    model = house.tuned(name, "transcribe")
    if to is not None and not isinstance(model.predictor.task, HearsLanguages):
        raise ApiError(
            400, f"model: {model.name!r} does not translate; a Whisper of many languages does", param="model"
        )
    content = checked(await file.read(), house.settings)
    questions = Questions([content], to=to, language=language, words=words)
    (answer,), _ = await answered(request, ask(model, questions, house))
    if form == "text":
        return PlainTextResponse(answer["text"] + "\n")
    if form == "json":
        usage = {"type": "duration", "seconds": round(answer["seconds"])}
        return JsonAnswer({"text": answer["text"], "usage": usage})
    segments = segments_of(answer)
    if form == "srt":
        return PlainTextResponse(srt(segments))
    if form == "vtt":
        return PlainTextResponse(vtt(segments), media_type="text/vtt")
    return JsonAnswer(_verbose(answer, segments, to is not None, words))


def _verbose(answer: dict[str, Any], segments: list[dict[str, Any]], translated: bool, words: bool) -> dict[str, Any]:
    """What is not known of a segment is left out: the log-probabilities of its tokens, and whether it is speech at all."""
    told = {
        "task": "translate" if translated else "transcribe",
        "language": answer.get("language") or "",
        "duration": round(answer["seconds"], 3),
        "text": answer["text"],
        "segments": [{"id": number, **each} for number, each in enumerate(segments)],
    }
    if words:
        told["words"] = [{name: each[name] for name in ("word", "start", "end")} for each in answer.get("words", ())]
    return told


async def _refuse(request: Request, known: Sequence[str], temperature: float | None) -> None:
    """What would otherwise be passed over in silence."""
    for name in await request.form():
        if name not in known:
            raise ApiError(400, f"unknown parameter: {name[:100]!r}", param=name[:100], code="unknown_parameter")
    if temperature:
        raise ApiError(400, "temperature: only 0; the likeliest text is told", param="temperature")
