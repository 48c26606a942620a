"""What the studio asks beyond the API: what each model can do, where it looks, and what it held of each token."""

import asyncio
import base64
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field

from inkstone.explain.attention_maps import attention_maps, has_attention
from inkstone.explain.token_probabilities import weighed_tokens
from inkstone.inference.prefill import context_of, prompt_ids
from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import House, Served, ServedLanguage, ServedTask
from inkstone.serving.requests import Part, Text
from inkstone.serving.streaming import answered
from inkstone.serving.written import finite
from inkstone.tokens.tokenizer import Tokenizer

MOST_TOKENS = 1024  # of a text whose tokens are weighed
MOST_WEIGHTS = 4_000_000  # of attention in one answer, two bytes each
FULL = 65535  # the weight 1 as it is sent
WRITES = ("translation", "summary")  # what the answer of a task that writes calls its text

T = TypeVar("T")
router = APIRouter(prefix="/studio/api", tags=["studio"], default_response_class=JsonAnswer)


class OfText(Part):
    """A text and the model that is to read it."""

    model: str | None = Field(None, max_length=256)
    text: Text = Field(min_length=1, max_length=100_000)


class OfTexts(OfText):
    """A text, or two that the model reads as a pair, and the language in which to write."""

    second: Text | None = Field(None, max_length=100_000)
    to: str | None = Field(None, max_length=32)


@router.get("/models", responses=documented())
async def studio_models(request: Request) -> dict[str, Any]:
    """All models, with what the studio needs to know of them."""
    house: House = request.app.state.house
    return {"data": [described(model) for model in house]}


@router.post("/probabilities", responses=documented())
async def probabilities(asked: OfText, request: Request) -> dict[str, Any]:
    """Each token of a text: how likely it was, how undecided the model, and what else it could have been."""
    house: House = request.app.state.house
    served = house.language(asked.model)
    return {"model": served.name, "tokens": await _aside(request, partial(_weighed, served, asked.text))}


@router.post("/attention", responses=documented())
async def attention(asked: OfTexts, request: Request) -> dict[str, Any]:
    """Where each layer and head looks: for each map its tokens and the weights, base64 of little-endian 16-bit shares of 65535."""
    house: House = request.app.state.house
    served = house.find(asked.model)
    if isinstance(served, ServedTask):
        loop = asyncio.get_running_loop()
        maps = await loop.run_in_executor(served.thread, _of_task, served, asked)
    else:
        maps = await _aside(request, partial(_of_language, served, asked))
    return {"model": served.name, "maps": maps}


async def _aside(request: Request, job: Callable[[], T]) -> T:
    """What a job comes to, done where scores are; it is not begun once the client is gone."""
    house: House = request.app.state.house
    (found,) = await answered(request, house.scoring.run([job]))
    return found


def described(model: Served) -> dict[str, Any]:
    """A model: its kind ("chat", "text" or "task"), its size, and what belongs to its task."""
    told: dict[str, Any] = {"id": model.name}
    if isinstance(model, ServedLanguage):
        inner: Any = model.model
        told |= {"kind": "text" if model.template is None else "chat", "context": context_of(inner)}
    else:
        inner = _asked_model(model)
        told |= {"kind": "task", "task": model.task, "context": model.predictor.frame.context} | _of_its_task(model)
    body = getattr(inner, "body", inner)
    count = getattr(inner, "n_parameters", None)
    return told | {
        "family": getattr(body, "family", None),
        "parameters": count() if callable(count) else None,
        "attention": has_attention(inner) and not _hears(model),
    }


def _asked_model(served: ServedTask) -> Any:
    """The model of a predictor; that of a Whisper is its listener."""
    return getattr(served.predictor, "listener", None) or served.predictor.model


def _hears(served: Served) -> bool:
    """Whether what is asked is a recording, which no text can stand for: a text would be taken as its path on this machine."""
    return isinstance(served, ServedTask) and served.task == "transcribe"


def _of_its_task(model: ServedTask) -> dict[str, Any]:
    """What a form must know: labels, whether two texts are read, languages, whether words are cut or a form is known."""
    task: Any = model.predictor.task
    told: dict[str, Any] = {"labels": list(task.labels)}
    for name in ("pairs", "several", "segment", "unanswerable"):
        if isinstance(value := getattr(task, name, None), bool):
            told[name] = value
    if model.task == "translate":
        told["targets"] = list(task.targets)
        told["directions"] = [list(direction) for direction in task.learned]
    return told


def _weighed(served: ServedLanguage, text: str) -> list[dict[str, Any]]:
    tokenizer = served.tokenizer
    ids = prompt_ids(served.model, text)
    if len(ids) > MOST_TOKENS:
        raise ApiError(400, f"text: {len(ids):,} tokens, but at most {MOST_TOKENS:,} are weighed", param="text")
    weighed = weighed_tokens(served.model, ids)
    return [
        {
            "token": tokenizer.token_text(token.id),
            "log_probability": None if token.log_probability is None else finite(token.log_probability),
            "entropy": token.entropy,
            "alternatives": [
                {"token": tokenizer.token_text(number), "log_probability": finite(value)}
                for number, value in token.alternatives
            ],
        }
        for token in weighed[len(tokenizer.begin) :]
    ]


def _of_language(served: ServedLanguage, asked: OfTexts) -> dict[str, Any]:
    ids = prompt_ids(served.model, asked.text)
    _check_room(served.model, len(ids), 0)
    return _told(attention_maps(served.model, ids), served.tokenizer, ids, ids)


def _of_task(served: ServedTask, asked: OfTexts) -> dict[str, Any]:
    """The maps of the input as the task lays it out, and of a task that writes those of what it writes of it."""
    predictor = served.predictor
    model = _asked_model(served)
    if _hears(served):
        raise ApiError(400, f"model: {served.name!r} hears recordings; attention is shown of texts", param="model")
    if not has_attention(model):
        return _told(attention_maps(model, []), served.tokenizer, [], [])
    given: Any = asked.text if asked.second is None else [asked.text, asked.second]
    if asked.to is not None:
        given = {"text": asked.text, "to": asked.to}
    examples = predictor.task.asked([given])
    (parts,) = predictor.task.encode(examples, predictor.frame)
    ids = parts[0].ids.tolist()
    types = None if parts[0].types is None else parts[0].types.tolist()
    written: list[int] = []
    if hasattr(model.body, "first"):
        (answer,) = predictor.answers(examples)
        text = next((answer[name] for name in WRITES if name in answer), "")
        written = [model.body.first, *served.tokenizer.encode(text)][: predictor.frame.context]
    _check_room(model, len(ids), len(written))
    return _told(
        attention_maps(model, ids, types=types, written=written or None), served.tokenizer, ids, written or ids
    )


def _check_room(model: Any, read: int, written: int) -> None:
    """Refuse a text whose maps would be too large to send. Raises ApiError."""
    settings = getattr(model, "settings", None)
    layers, heads = (getattr(settings, name, 1) for name in ("n_layers", "n_heads"))
    size = layers * heads * (read**2 + written**2 + read * written)
    if size > MOST_WEIGHTS:
        most = int((MOST_WEIGHTS / (layers * heads * (3 if written else 1))) ** 0.5)
        raise ApiError(
            400,
            f"text: {max(read, written)} tokens in {layers} layers of {heads} heads have more weights than can be shown; "
            f"give one of at most {most} tokens",
            param="text",
        )


def _told(maps: dict[str, Any], tokenizer: Tokenizer, read: list[int], written: list[int]) -> dict[str, Any]:
    """The maps as they are sent; rows look, columns are looked at."""
    names = {"decoder": (written, written), "encoder": (read, read), "cross": (written, read)}
    told = {}
    for kind, weights in maps.items():
        rows, columns = ([tokenizer.token_text(number) for number in ids] for ids in names[kind])
        shares = np.rint(weights.numpy() * FULL).astype("<u2")
        told[kind] = {
            "rows": rows,
            "columns": columns,
            "layers": shares.shape[0],
            "heads": shares.shape[1],
            "weights": base64.b64encode(shares.tobytes()).decode(),
        }
    return told
