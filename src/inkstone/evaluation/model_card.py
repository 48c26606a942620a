"""The model card of a run (Mitchell et al. 2019): README.md with the front matter that the Hugging Face hub reads.

English first, Chinese below, both from the same facts. The licence is the owner's to choose.
"""

import re
import shlex
from importlib.resources import files
from typing import Any

import jinja2

from inkstone.evaluation.record import Record, number
from inkstone.progress import human_bytes, human_count, human_time

NONE = "–"
SAMPLE_CHARACTERS = 600


def model_card(record: Record) -> str:
    """The card as Markdown. What the run did not record is left out."""
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "bytes": lambda value: _shown(value, human_bytes),
        "count": lambda value: _shown(value, human_count),
        "whole": lambda value: _shown(value, lambda n: f"{n:,.0f}"),
        "time": lambda value: _shown(value, human_time),
        "three": lambda value: _shown(value, lambda n: f"{n:.3f}"),
        "short": lambda value: _shown(value, lambda n: f"{n:,.0f}" if n >= 1000 else f"{n:.3g}"),
        "pairs": lambda value: list(value.items()) if isinstance(value, dict) else [],
        "code": code,
        "quoted": lambda text: shlex.quote(text.replace("\n", " ")),
    }
    template = environment.from_string(
        files("inkstone.evaluation").joinpath("card.md.jinja").read_text(encoding="utf-8")
    )
    sample = next((str(s["text"]) for s in record.samples if s.get("text")), "")[:SAMPLE_CHARACTERS]
    card = template.render(
        **record.stages,
        name=record.folder.resolve().name,
        folder=str(record.folder),
        languages=_languages(record),
        layout=record.recipe.model.layout if record.recipe else None,
        family=record.recipe.model.family if record.recipe else "decoder",
        sources=record.recipe.text.sources if record.recipe else [],
        deduplicated=bool(record.recipe and record.recipe.text.clean and record.recipe.text.near_duplicates),
        shape=record.recipe.model if record.recipe else None,
        sample=fenced(sample) if sample else "",
        finished=record.finished,
    )
    return re.sub(r"\n{3,}", "\n\n", card).strip() + "\n"


def code(value: Any) -> str:
    """Text from outside as inline code, so that no part of it is read as Markdown.

    >>> code("a`b|c")
    '`` a`b\\\\|c ``'
    """
    text = " ".join(str(value).split()).replace("|", "\\|")
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"


def fenced(text: str) -> str:
    """Text from outside as a code block whose fence is longer than any in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _languages(record: Record) -> list[str]:
    found = record.stages["text"].get("languages")
    codes = [code for code in found if re.fullmatch("[a-z]{2,3}", code)] if isinstance(found, dict) else []
    return [code for code in codes if code != "und"][:8]


def _shown(value: Any, words: Any) -> str:
    found = number(value)
    return NONE if found is None else words(found)
