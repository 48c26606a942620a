"""The list of models."""

from typing import Any

from fastapi import APIRouter, Request

from inkstone.serving.answer_responses import documented
from inkstone.serving.house import Served, ServedLanguage

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=documented())
async def models(request: Request) -> dict[str, Any]:
    """All models that are served."""
    return {"object": "list", "data": [described(model) for model in request.app.state.house]}


@router.get("/v1/models/{name}", responses=documented())
async def model(name: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return described(request.app.state.house.find(name))


def described(model: Served) -> dict[str, Any]:
    """A model as the list shows it: what OpenAI's has, then what it can do."""
    told: dict[str, Any] = {"id": model.name, "object": "model", "created": model.created, "owned_by": "inkstone"}
    if isinstance(model, ServedLanguage):
        template = model.template
        told |= {"kind": "language", "chat": template is not None, "max_model_len": model.capacity}
        return told | {"tools": template is not None and template.takes_tools}
    return told | {"kind": "task", "task": model.task, "labels": list(model.predictor.task.labels)}
