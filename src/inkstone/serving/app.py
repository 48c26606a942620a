"""The server as one ASGI application: the models, the endpoints, and what stands before them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from inkstone import __version__
from inkstone.serving import (
    audio_routes,
    chat_routes,
    completion_routes,
    data_routes,
    embedding_routes,
    feedback_routes,
    health_routes,
    model_routes,
    runs_routes,
    studio_page,
    studio_routes,
    task_routes,
    token_routes,
)
from inkstone.serving.api_errors import add_handlers
from inkstone.serving.description import describe
from inkstone.serving.guard import Guard
from inkstone.serving.house import House, Served
from inkstone.serving.settings import ServingSettings
from inkstone.serving.studio import Studio
from inkstone.serving.watch import Watch

ROUTERS = (
    health_routes.router,
    model_routes.router,
    completion_routes.router,
    chat_routes.router,
    token_routes.router,
    embedding_routes.router,
    audio_routes.router,
    task_routes.router,
    studio_page.router,
    studio_routes.router,
    runs_routes.router,
    data_routes.router,
    feedback_routes.router,
)


def build(models: Sequence[Served], settings: ServingSettings) -> FastAPI:
    """The application that serves these models; it closes them when it ends. `app.state.house` holds them, `app.state.studio` the rest."""
    house = House(list(models), settings)
    studio = Studio.beside(house, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        house.closing = True
        await asyncio.to_thread(studio.close)
        house.close(finish=False)

    app = FastAPI(
        title="Inkstone",
        version=__version__,
        description="Models of your own, in the form of OpenAI's API.",
        docs_url=None,  # its page would fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.house = house
    app.state.studio = studio
    add_handlers(app)
    app.add_middleware(Guard, house=house)
    app.add_middleware(Watch, metrics=house.metrics)  # what is added last stands outermost
    for router in ROUTERS:
        app.include_router(router)
    describe(app)
    return app
