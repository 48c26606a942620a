"""How a figure of a task is told: a share in percent, any other as a number with its unit; and which of two is the better one.

A figure is {"value", "low", "high"}, the last two None where there is no interval; one that is no share has "unit" beside them, and
"lower_is_better" where that is so.
"""

from collections.abc import Mapping
from typing import Any

from inkstone.evaluation.record import number

SHARE = ""  # the unit of a share


def value_in_words(value: float, unit: str = SHARE, width: int = 0) -> str:
    """One value, right in so many places.

    >>> value_in_words(0.875), value_in_words(2.31415, "nats"), value_in_words(1234.5, "plain")
    ('87.5 %', '2.314 nats', '1,234.5')
    """
    if unit == SHARE:
        return f"{100 * value:{width}.1f} %"
    digits = 4 if abs(value) < 0.1 else 3 if abs(value) < 10 else 1
    return f"{value:{width},.{digits}f}" + (f" {unit}" if unit != "plain" else "")


def figure_in_words(figure: Mapping[str, Any], width: int = 0, interval: str = "95 % interval ") -> str:
    """A figure with its interval.

    >>> figure_in_words({"value": 2.5, "low": 2.25, "high": 2.75, "unit": "nats"})
    '2.500 nats (95 % interval 2.250 to 2.750)'
    """
    unit = str(figure.get("unit", SHARE))
    value, low, high = (number(figure.get(key)) for key in ("value", "low", "high"))
    told = value_in_words(value or 0.0, unit, width)
    if low is None or high is None:
        return told
    ends = (value_in_words(end, "plain") if unit != SHARE else f"{100 * end:.1f}" for end in (low, high))
    return f"{told} ({interval}{' to '.join(ends)})"


def is_better(figure: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the first of two values of one figure is better than the second."""
    one, two = number(figure.get("value")), number(other.get("value"))
    if one is None or two is None:
        return False
    return one < two if figure.get("lower_is_better") else one > two
