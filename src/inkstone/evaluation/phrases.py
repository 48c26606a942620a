"""The words of the report and the card in English and Chinese, kept side by side in phrases.toml."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

LANGUAGES = ("en", "zh")


@cache
def phrases() -> dict[str, dict[str, str]]:
    """Every phrase: key → language → words."""
    return tomllib.loads(files("inkstone.evaluation").joinpath("phrases.toml").read_text(encoding="utf-8"))


def say(key: str, **values: Any) -> Markup:
    """A phrase in both languages, of which the page shows one. What is filled in is escaped."""
    phrase = phrases()[key]
    return Markup("").join(
        Markup('<span class="{}" lang="{}">{}</span>').format(
            language, "zh-Hans" if language == "zh" else language, Markup(phrase[language]).format(**values)
        )
        for language in LANGUAGES
    )


def say_or(key: str, otherwise: Any) -> Markup:
    """The phrase where there is one, else the words as they are."""
    return say(key) if key in phrases() else Markup.escape(otherwise)
