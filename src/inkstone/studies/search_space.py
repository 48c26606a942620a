"""What a search may choose: settings with a range or a list of values, as they are written on the command line.

train.learning_rate=1e-4..1e-2     a range; of numbers ten times apart or more the logarithm is drawn evenly
model.width=64..256                whole numbers
task.pooling=mean|max              one of these
"""

import math
import tomllib
from dataclasses import dataclass
from typing import Any

from inkstone.errors import RecipeError
from inkstone.recipe import Recipe, with_settings

LOGARITHMIC_FROM = 10  # times the smaller end


@dataclass(frozen=True)
class Choosable:
    """One setting: a range from low to high, or the values to take one of."""

    name: str
    low: float | int | None = None
    high: float | int | None = None
    values: tuple[Any, ...] = ()

    @property
    def logarithmic(self) -> bool:
        """Whether its logarithm is what is drawn evenly."""
        return (
            self.low is not None and self.high is not None and self.low > 0 and self.high >= LOGARITHMIC_FROM * self.low
        )

    @property
    def whole(self) -> bool:
        """Whether it is a whole number."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def choosable(text: str) -> Choosable:
    """A setting with its range or values. Raises RecipeError for what is none, and for values that the recipe refuses.

    >>> choosable("train.learning_rate=1e-4..1e-2").logarithmic, choosable("model.width=64|128").values
    (True, (64, 128))
    """
    name, equals, wanted = text.partition("=")
    name, wanted = name.strip(), wanted.strip()
    if not equals or not wanted:
        raise RecipeError(f"--choose {text!r}: write it as section.key=LOW..HIGH or section.key=A|B")
    if ".." in wanted:
        low, high = (_value(part) for part in wanted.split("..", 1))
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
        if not numbers or not math.isfinite(low) or not math.isfinite(high) or low >= high:
            raise RecipeError(f"--choose {text!r}: a range goes from a number to a larger one, as in 1e-4..1e-2")
        if isinstance(low, float) or isinstance(high, float):
            low, high = float(low), float(high)
        found = Choosable(name, low, high)
    else:
        found = Choosable(name, values=tuple(_value(part) for part in wanted.split("|")))
    for end in found.values or (found.low, found.high):
        with_settings(Recipe(), [setting(found.name, end)], f"--choose {text!r}")
    return found


def setting(name: str, value: Any) -> str:
    """The setting as `--set` takes it."""
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
