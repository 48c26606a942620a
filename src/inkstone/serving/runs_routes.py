"""Runs and trainings over HTTP: what there is, how it goes, begin, stop, go on, serve."""

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.house import House
from inkstone.serving.opening import open_served
from inkstone.serving.requests import Part
from inkstone.serving.run_facts import journal, summary
from inkstone.serving.studio import Studio

router = APIRouter(prefix="/studio/api", tags=["studio"], default_response_class=JsonAnswer)
Minutes = Annotated[float, Field(gt=0, le=10_080, allow_inf_nan=False)]
Value = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)] | bool | str


class Wished(Part):
    """A training that is wished for: a text by its number, the minutes, and settings where the planner is not to choose."""

    text: str = Field(max_length=40)
    minutes: Minutes | None = None
    name: str | None = Field(None, min_length=1, max_length=80)
    settings: dict[str, Value] = Field(default_factory=dict, max_length=20)


class Adapting(Part):
    """How long to learn from marks, and whether those without a counterpart get one from the model."""

    minutes: Minutes = 5
    regenerate: bool = False


@router.get("/runs", responses=documented())
async def runs(request: Request) -> dict[str, Any]:
    """All runs in the studio's folder."""
    studio, house = _parts(request)
    return {"runs": await asyncio.to_thread(_summaries, studio, house)}


@router.get("/runs/{name}", responses=documented())
async def run(name: str, request: Request) -> dict[str, Any]:
    """One run."""
    studio, house = _parts(request)
    folder = studio.folder.run(name)
    return _told(await asyncio.to_thread(summary, folder), studio, house)


@router.get("/runs/{name}/journal", responses=documented())
async def lines(
    name: str,
    request: Request,
    since: Annotated[int, Query(ge=0, lt=1 << 50)] = 0,
    of: Annotated[str, Query(max_length=40)] = "",
) -> dict[str, Any]:
    """What a run wrote into its journal after the first `since` bytes: losses, scores, speed."""
    return await asyncio.to_thread(journal, _studio(request).folder.run(name), since, of)


@router.post("/runs/{name}/serve", responses=documented())
async def serve(name: str, request: Request) -> dict[str, Any]:
    """Serve a run beside the other models from now on, in this process."""
    studio, house = _parts(request)
    folder = studio.folder.run(name)
    if name in house.models:
        raise ApiError(409, f"a model {name!r} is served already")
    model = await asyncio.to_thread(open_served, f"{name}={folder}", house.settings)
    try:
        house.add(model)
    except Exception:
        model.close(finish=False)
        raise
    return {"name": name, "served": True}


@router.post("/runs/{name}/resume", responses=documented())
async def resume(name: str, request: Request) -> dict[str, Any]:
    """Go on with a run that was stopped."""
    studio = _studio(request)
    return (await asyncio.to_thread(studio.jobs.resume, studio.folder.run(name))).told()


@router.post("/runs/{name}/adapt", responses=documented())
async def adapt(name: str, asked: Adapting, request: Request) -> dict[str, Any]:
    """Let a run learn from the marks of the studio; a new run comes of it."""
    studio = _studio(request)
    folder = studio.folder.run(name)
    return (await asyncio.to_thread(studio.jobs.adapt, folder, asked.minutes, regenerate=asked.regenerate)).told()


@router.get("/jobs", responses=documented())
async def jobs(request: Request) -> dict[str, Any]:
    """What was trained, trains and waits, the newest first."""
    found = await asyncio.to_thread(_studio(request).jobs.all)
    return {"jobs": [job.told() for job in found]}


@router.post("/jobs", responses=documented())
async def begin(asked: Wished, request: Request) -> dict[str, Any]:
    """Begin a training, or let it wait until the one before it is done."""
    job = await asyncio.to_thread(_studio(request).train, asked.text, asked.minutes, asked.settings, asked.name)
    return job.told()


@router.post("/jobs/preview", responses=documented())
async def preview(asked: Wished, request: Request) -> dict[str, Any]:
    """What the planner would choose, before anything is begun."""
    studio = _studio(request)
    (plan,) = await studio.planning.run([partial(studio.plan, asked.text, asked.minutes, asked.settings)])
    return plan


@router.get("/jobs/{number}", responses=documented())
async def job(number: str, request: Request) -> dict[str, Any]:
    """One training, and the end of what it has said."""
    studio = _studio(request)
    found = await asyncio.to_thread(studio.jobs.find, number)
    return {**found.told(), "log": await asyncio.to_thread(studio.jobs.log, number)}


@router.delete("/jobs/{number}", responses=documented())
async def stop(number: str, request: Request) -> dict[str, Any]:
    """Stop a training, whose state is saved; take back one that waits."""
    return (await asyncio.to_thread(_studio(request).jobs.stop, number)).told()


def _summaries(studio: Studio, house: House) -> list[dict[str, Any]]:
    told = [_told(summary(folder), studio, house) for folder in studio.folder.runs()]
    return sorted(told, key=lambda each: -each["changed"])


def _told(told: dict[str, Any], studio: Studio, house: House) -> dict[str, Any]:
    """A summary, and whether the run is served."""
    place = studio.folder.root / told["name"]
    served = next((model.name for model in house if model.folder.resolve() == place.resolve()), None)
    return {**told, "served": served}


def _parts(request: Request) -> tuple[Studio, House]:
    return request.app.state.studio, request.app.state.house


def _studio(request: Request) -> Studio:
    return request.app.state.studio
