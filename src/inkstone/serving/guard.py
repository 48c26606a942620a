"""What stands before the endpoints: who asks, from which page, under which name, how often, and how much.

A browser lets any page send requests to this machine. So a request must name this server as its host (else a stranger's name
could be pointed at it), and a page of another origin is refused unless it is allowed by name.
"""

import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inkstone.serving.api_errors import ApiError
from inkstone.serving.bodies import check_depth, replayed, whole_body
from inkstone.serving.house import House
from inkstone.serving.settings import LOOPBACK

OPEN = ("/", "/health", "/ready")  # anyone may ask for these, and for the files of the studio
UNLIMITED = (*OPEN, "/metrics")  # who watches the server must not be kept from it, least of all when it is busy
READS = 10  # requests that only read, for each that may be asked otherwise: the page looks at what trains every other second
LARGE = ("/v1/audio/", "/studio/api/data")  # where files are sent
MOST_CLIENTS = 10_000  # whose rates are kept
HEADERS = "authorization, content-type, x-api-key"
METHODS = "GET, POST, PUT, DELETE, OPTIONS"


class Guard:
    """ASGI middleware that carries out the settings of a server."""

    def __init__(self, app: ASGIApp, house: House):
        self.app, self.house, self.settings = app, house, house.settings
        self.keys = [hashlib.sha256(key.encode()).digest() for key in self.settings.keys]
        self.origins = {origin.rstrip("/").lower() for origin in self.settings.allow_origins}
        self.hosts = {name.lower() for name in (*LOOPBACK, self.settings.host, *self.settings.allow_hosts)}
        self.any_host = bool(self.settings.keys or self.settings.open) and not self.settings.allow_hosts
        self.under_way = 0
        self.rates = Rates(self.settings.requests_a_minute)
        self.reads = Rates(READS * self.settings.requests_a_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        try:
            self._check_host(headers)
            crosses = self._crosses(headers, origin)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        if origin is not None and crosses:
            send = _with_headers(send, origin, headers.get("access-control-request-headers", ""))
            if scope["method"] == "OPTIONS":
                await Response(status_code=204)(scope, receive, send)
                return
        try:
            reads = scope["method"] in ("GET", "HEAD", "OPTIONS")
            if not (reads and _for_anyone(scope["path"], OPEN)):
                self._check_key(headers, scope)
            if reads:
                if not _for_anyone(scope["path"], UNLIMITED):
                    self._check_rate(self.reads, scope["client_name"])
                await self.app(scope, receive, send)
                return
            with self._counted(scope["client_name"]):
                large = scope["path"].startswith(LARGE)
                most = max(self.settings.largest_recording if large else 0, self.settings.largest_request)
                body = await whole_body(receive, most, self.settings.receive_seconds)
                if not large:
                    await check_depth(body)
                await self.app(scope, replayed(body, receive), send)
        except ApiError as error:  # of the app's own none comes this far
            await error.response()(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        named = _host_name(headers.get("host", ""))
        if not self.any_host and named not in self.hosts:
            raise ApiError(
                403,
                f"this server is not called {named[:100]!r}; if it is to be, start it with --allow-host NAME",
                code="unknown_host",
            )

    def _crosses(self, headers: Headers, origin: str | None) -> bool:
        """Whether a page of another origin asks. Raises ApiError where it may not."""
        if origin is None or _netloc(origin) == headers.get("host", "").lower():
            return False
        if origin.lower() in self.origins or "*" in self.origins:
            return True
        raise ApiError(
            403,
            f"pages of {origin[:200]!r} may not ask this server; if they are to, start it with --allow-origin ORIGIN",
            code="unknown_origin",
        )

    def _check_key(self, headers: Headers, scope: Scope) -> None:
        given = headers.get("authorization", "")
        kind, _, key = given.partition(" ")
        key = key.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        # All are compared, each in the same time, so that the time says nothing of which one is near.
        known = sum(hmac.compare_digest(digest, each) for each in self.keys)
        if self.keys and not known:
            words = "no API key; send it as: Authorization: Bearer KEY" if not key else "this API key is not known"
            raise ApiError(401, words, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
        client = scope.get("client") or ("", 0)
        scope["client_name"] = f"key-{digest.hex()[:8]}" if self.keys else client[0]

    def _check_rate(self, rates: "Rates", client: str) -> None:
        if wait := rates.wait(client):
            raise ApiError(
                429,
                f"more than {rates.a_minute} requests a minute{' that read' * (rates is self.reads)}",
                code="rate_limit_exceeded",
                headers={"retry-after": str(math.ceil(wait))},
            )

    @contextmanager
    def _counted(self, client: str):
        """One more request is under way. Raises ApiError where there are too many, or the server is about to stop."""
        if self.house.closing:
            raise ApiError(503, "the server is about to stop", headers={"retry-after": "5"})
        self._check_rate(self.rates, client)
        if self.under_way >= self.settings.most_requests:
            raise ApiError(
                503, f"{self.under_way} requests are under way already", code="overloaded", headers={"retry-after": "1"}
            )
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


class Rates:
    """How often each client asks: a bucket that fills with so many tokens a minute, and holds as many."""

    def __init__(self, a_minute: int):
        self.a_minute = a_minute
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client: tokens, and when it held them

    def wait(self, client: str) -> float:
        """Take a token; seconds until there is one, 0 where there was."""
        if not self.a_minute:
            return 0.0
        now = time.monotonic()
        held, then = self.buckets.pop(client, (float(self.a_minute), now))
        held = min(self.a_minute, held + (now - then) * self.a_minute / 60)
        wait = 0.0 if held >= 1 else (1 - held) * 60 / self.a_minute
        self.buckets[client] = (held - (not wait), now)
        if len(self.buckets) > MOST_CLIENTS:
            self.buckets.popitem(last=False)
        return wait


def _for_anyone(path: str, listed: Sequence[str]) -> bool:
    return path in listed or (path.startswith("/studio/") and not path.startswith("/studio/api/"))


def _with_headers(send: Send, origin: str, asked: str) -> Send:
    allowed = {
        "access-control-allow-origin": origin,
        "vary": "Origin",
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": asked or HEADERS,  # OpenAI's client has a dozen of its own
        "access-control-max-age": "600",
    }

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode("latin-1", "replace")) for name, value in allowed.items()]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return with_headers


def _host_name(host: str) -> str:
    """The name without the port; of an IPv6 address without its brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
