"""Pages that open offline: one HTML file with its style and script inside, in English and Chinese.

All text that fills a page is data: it is escaped where it enters, and the page allows no script but its own, by hash.
"""

import base64
import hashlib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

import inkstone
from inkstone.evaluation.figure_words import value_in_words
from inkstone.evaluation.phrases import say, say_or
from inkstone.evaluation.record import number
from inkstone.progress import human_bytes, human_count, human_time

NONE = "–"


def rendered(template: str, **values: Any) -> str:
    """The page of a template, with the furniture that all pages share."""
    script = source("report.js")
    return _environment().from_string(template).render(
        say=say,
        say_or=say_or,
        style=source("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=inkstone.__version__,
        today=date.today().isoformat(),
        **values,
    )  # fmt: skip


def source(name: str, package: str = "inkstone.evaluation") -> str:
    """A file of a package as text."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def shown(value: Any, words: Any) -> str:
    """A number in words, or a dash where there is none."""
    found = number(value)
    return NONE if found is None else words(found)


def _figure(figure: Any) -> str:
    """The value of a figure of a task in words."""
    table = figure if isinstance(figure, dict) else {}
    return shown(table.get("value"), lambda n: value_in_words(n, str(table.get("unit", ""))))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": lambda value: shown(value, human_bytes),
        "count": lambda value: shown(value, human_count),
        "whole": lambda value: shown(value, lambda n: f"{n:,.0f}"),
        "time": lambda value: shown(value, human_time),
        "percent": lambda value: shown(value, lambda n: f"{n:.0%}" if n >= 0.1 else f"{n:.1%}"),
        "percent_of": lambda value: shown(value, lambda n: f"{100 * n:.1f} %"),
        "figure_of": lambda figure: _figure(figure),
        "three": lambda value: shown(value, lambda n: f"{n:.3f}"),
        "two": lambda value: shown(value, lambda n: f"{n:.2f}"),
        "short": lambda value: shown(value, lambda n: f"{n:,.0f}" if n >= 1000 else f"{n:.3g}"),
        "pairs": lambda value: list(value.items()) if isinstance(value, dict) else [],
        "rows": lambda value: value if isinstance(value, list) else [],
    }
    return environment
