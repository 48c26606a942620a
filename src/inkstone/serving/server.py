"""The HTTP server: a socket, the application, and the signals that end it."""

import socket
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI

from inkstone.serving.app import build
from inkstone.serving.house import Served
from inkstone.serving.http_protocol import Protocol
from inkstone.serving.settings import ServingError, ServingSettings


class Listening:
    """A server whose port is open; `run` serves until `stop` or a signal."""

    def __init__(self, app: FastAPI, bound: socket.socket, settings: ServingSettings):
        self.app, self.bound = app, bound
        self.port: int = bound.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
        )
        self.server = uvicorn.Server(config)

    @property
    def started(self) -> bool:
        """Requests are taken."""
        return self.server.started

    def run(self) -> None:
        """Serve until told to stop."""
        self.server.run(sockets=[self.bound])

    def stop(self) -> None:
        """End, once what is under way is answered or the time for that is over. May be called from any thread."""
        self.server.should_exit = True


def listen(models: Sequence[Served], settings: ServingSettings) -> Listening:
    """Open the port and build the application. Raises ServingError where the port cannot be opened."""
    return Listening(build(models, settings), bound_socket(settings), settings)


def bound_socket(settings: ServingSettings) -> socket.socket:
    """A socket at the address of the settings. Raises ServingError where it is taken or is no address of this machine."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(found[0], found[1])
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(found[4])
    except OSError as error:
        raise ServingError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror or error}); choose another --port or --host"
        ) from None
    bound.setblocking(False)
    return bound
