"""A task from its settings, as a recipe or a run has them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from inkstone.errors import RecipeError

T = TypeVar("T")


def with_tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where settings have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def from_settings(kind: type[T], settings: Mapping[str, Any]) -> T:
    """The task of this class, a dataclass with a `name`. Raises RecipeError for a setting that it does not have."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    if unknown := settings.keys() - known:
        raise RecipeError(f"the task {kind.name} has no setting {', '.join(sorted(unknown))}")  # type: ignore[attr-defined]
    return kind(**dict(settings))
