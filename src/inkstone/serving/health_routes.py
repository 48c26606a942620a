"""Whether the server lives, and whether it takes requests."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

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
