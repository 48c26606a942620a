"""Whether the server lives, whether it takes requests, and what it has counted."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"description": "The server is about to stop"}})
async def ready(request: Request) -> JSONResponse:
    """Requests are taken; 503 once the server was told to stop."""
    house = request.app.state.house
    if house.closing:
        return JSONResponse({"status": "stopping"}, 503)
    return JSONResponse({"status": "ready", "models": list(house.models)})


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        503: {"description": "The other processes behind the port do not answer"},
    },
)
async def metrics(request: Request) -> Response:
    """What was counted by all processes behind the port, as Prometheus reads it."""
    text = await request.app.state.house.metrics.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
