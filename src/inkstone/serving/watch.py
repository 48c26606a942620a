"""One line of log and one count for every request; of what was said in it only the sizes."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inkstone.serving.api_errors import as_api_error
from inkstone.serving.metrics import Metrics
from inkstone.serving.streaming import ClientGone

log = logging.getLogger("inkstone.serving.access")


class Watch:
    """ASGI middleware that stands outermost."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 499  # nobody was left to be answered

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.under_way.inc()
        try:
            await self.app(scope, receive, noted)
        except ClientGone:
            log.debug("a client hung up")
        except Exception as error:
            told = as_api_error(error)
            if status != 499:  # the answer has begun; all that is left is to break it off
                raise
            await told.response()(scope, receive, noted)
        finally:
            self.metrics.under_way.dec()
            seconds = time.perf_counter() - began
            # By the pattern of the address, not the address: a stranger could make up any number of these.
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(_method(scope), path, status).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            log.info("%s %s %s %.3fs %s", _method(scope), path, status, seconds, scope.get("client_name", "-"))


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"
