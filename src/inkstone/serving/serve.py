"""`inkstone serve`: open the models, open the port, serve until told to stop; alone or with several processes behind one port."""

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inkstone.errors import MissingExtraError, nearest
from inkstone.serving.settings import ServingError, ServingSettings, read_keys

if TYPE_CHECKING:
    from inkstone.serving.house import House

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    runs: Sequence[str | Path] | str | Path, *, keys: str | Path | None = None, workers: int = 1, **settings: Any
) -> dict[str, Any]:
    """Serve models in the form of OpenAI's API until SIGTERM or Ctrl-C; what is under way then is answered first.

    runs: run folders, checkpoints or hub names; NAME=RUN says how the API calls one. keys: a file of API keys, beside those in the
    variable INKSTONE_API_KEYS. workers: processes behind the port, each with all models. `settings` are those of `ServingSettings`.
    Returns what was served: its address, the names of the models, and how many requests were answered.

    >>> inkstone.serve(["runs/mine"], port=8000)  # doctest: +SKIP

    Raises ServingError for settings that cannot hold and a port that is taken, StudioError for a folder that is none of a studio,
    RunError for what is no model, MissingExtraError without the packages of `inkstone[serve]`.
    """
    require_packages()
    runs = [runs] if isinstance(runs, str | Path) else list(runs)
    known = [field.name for field in fields(ServingSettings)]
    for name in settings:
        if name not in known:
            raise ServingError(f"there is no setting {name!r} of the server; {nearest(name, known)}")
    if workers < 1:
        raise ServingError(f"workers = {workers}, but must be at least 1")
    for name in ("keys", "allow_origins", "allow_hosts"):
        settings[name] = tuple(settings.get(name, ()))
    chosen = ServingSettings(**{**settings, "keys": read_keys(keys)})
    from inkstone.hub.download import local_folder
    from inkstone.hub.folder import read_config
    from inkstone.serving.opening import named
    from inkstone.serving.server import bound_socket
    from inkstone.serving.studio_folder import StudioFolder

    if chosen.studio is not None and not StudioFolder.named(chosen.studio).root.exists():
        print(
            f"inkstone: the studio's folder {chosen.studio} is new; it is made when something is kept there",
            file=sys.stderr,
        )
    bound = bound_socket(chosen)
    chosen = replace(chosen, port=bound.getsockname()[1])
    with bound:
        for run in runs:  # a name that is mistyped is told before any model is opened
            read_config(local_folder(named(run)[1]))
        if workers > 1:
            from inkstone.serving.workers import serve_with_workers

            return serve_with_workers(runs, chosen, bound, workers)
        return serve_here(runs, chosen, bound)


def serve_here(
    runs: Sequence[str | Path],
    settings: ServingSettings,
    bound: socket.socket,
    ready: Callable[["House"], None] = lambda house: None,
) -> dict[str, Any]:
    """Serve in this process; `ready` is told of the models once they are open."""
    from inkstone.serving.app import build
    from inkstone.serving.opening import open_served
    from inkstone.serving.server import Listening

    write_log()
    models = [open_served(run, settings) for run in runs]
    listening = Listening(build(models, settings), bound, settings)
    address = address_of(settings)
    names = [model.name for model in models]
    ready(listening.app.state.house)
    print(f"{', '.join(names)} at {address}/v1; the studio: {address}/", file=sys.stderr, flush=True)
    listening.run()
    return {"address": address, "models": names, "requests": listening.server.server_state.total_requests}


def require_packages() -> None:
    """Raises MissingExtraError for the first package of `inkstone[serve]` that is not installed."""
    from importlib.util import find_spec

    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package.replace("_", "-"), "serve", "the server")


def address_of(settings: ServingSettings) -> str:
    """Where to ask, as this machine sees it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}"


def write_log() -> None:
    """Let the server's own lines come to standard error, one a request."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (
        ("inkstone.serving", logging.INFO),
        ("inkstone.inference", logging.INFO),
        ("uvicorn", logging.WARNING),
    ):
        log = logging.getLogger(name)
        log.setLevel(level)
        log.handlers = [handler]
        log.propagate = False
