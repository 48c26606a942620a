"""The studio's files: one page at `/`, and below `/studio/` its scripts and style, none of which the browser may take from elsewhere."""

import hashlib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import Response

from inkstone.serving.api_errors import ApiError

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
HEADERS = {
    # Nothing from elsewhere, no script in the page itself; recordings that a person made may be heard again (blob:).
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",  # asked for again each time, by its tag
}

router = APIRouter(include_in_schema=False)


@router.get("/")
def page(request: Request) -> Response:
    """The page itself."""
    return _answer(request, "index.html")


@router.get("/studio/{name}")
def file(name: str, request: Request) -> Response:
    """A script, a style sheet or a picture of the page. Raises ApiError for anything else."""
    if name not in names():
        raise ApiError(404, f"the studio has no file {name!r}")
    return _answer(request, name)


@cache
def names() -> frozenset[str]:
    """The names of the studio's files."""
    return frozenset(
        each.name for each in files("inkstone.serving").joinpath("studio").iterdir() if _suffix(each.name) in TYPES
    )


@cache
def _content(name: str) -> tuple[bytes, str]:
    content = files("inkstone.serving").joinpath("studio", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _answer(request: Request, name: str) -> Response:
    content, tag = _content(name)
    headers = {**HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=TYPES[_suffix(name)])


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]
