"""The API's description of itself, at /openapi.json."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

UNUSED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Let the description tell what is answered: what does not fit is 400, in the form of OpenAI's API, and keys are bearer tokens."""

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            told = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for methods in told["paths"].values():
                for each in methods.values():
                    each["responses"].pop("422", None)
            parts = told.setdefault("components", {})
            for name in UNUSED:
                parts.get("schemas", {}).pop(name, None)
            parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            told["security"] = [{}, {"key": []}]
            app.openapi_schema = told
        return app.openapi_schema

    app.openapi = description
