"""The HTTP server: a socket, the application, and the signals that end it."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator, Sequence

import uvicorn
from fastapi import FastAPI

from inkstone.serving.app import build
from inkstone.serving.house import House, Served
from inkstone.serving.http_protocol import Protocol
from inkstone.serving.settings import ServingError, ServingSettings

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """uvicorn's, that ends with an ordinary return when it is told to stop, and says so to those who ask meanwhile."""

    def __init__(self, config: uvicorn.Config, house: House):
        super().__init__(config)
        self.house = house

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, answer those under way, and end."""
        self.house.closing = True
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C end the server in order; a second Ctrl-C does so at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


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
        self.server = Server(config, app.state.house)

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
    bound = None
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(found[0], found[1])
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(found[4])
        bound.listen(1)  # a port that another program listens at is told here, not later
    except OSError as error:
        if bound is not None:
            bound.close()
        raise ServingError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror or error}); choose another --port or --host"
        ) from None
    bound.setblocking(False)
    return bound
