"""Where a chat template runs: Jinja as `transformers` sets it up for them, in a sandbox.

A template comes with a model and may be a stranger's. It sees the messages and the names of a few tokens, as plain data, and
can reach nothing else; its size and that of the text it writes are bounded. It is bounded neither in time nor in memory.
"""

import datetime
import json
from collections.abc import Mapping
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inkstone.errors import InkstoneError

LARGEST_TEMPLATE = 1 << 18  # characters; the longest of published ones have some twenty thousand
LARGEST_TEXT = 1 << 24  # characters that one conversation may become

# Around what the template says the model is to write. Unicode keeps them out of text; where they come nevertheless, they are
# hidden from the template.
ANSWER_OPENS, ANSWER_CLOSES = "\ufdd0", "\ufdd1"
MARKS = ANSWER_OPENS + ANSWER_CLOSES


class ChatTemplateError(InkstoneError):
    """A chat template that is no valid Jinja, that does not fit its tokenizer, or that refuses a conversation."""


class _Generation(Extension):
    """The block `{% generation %}`, in which a template writes what the model says; here it is written as it stands."""

    tags = {"generation"}  # noqa: RUF012 (Jinja wants a set there)

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller) -> str:
        return caller()


class _MarkedGeneration(_Generation):
    """The same block, with marks where it begins and ends."""

    tags = {"generation"}  # noqa: RUF012

    def _written(self, caller) -> str:
        return ANSWER_OPENS + caller() + ANSWER_CLOSES


class _Namespace(jinja2.utils.Namespace):
    """Jinja's namespace without names that begin with an underscore, by which a template could reach Python's inside."""

    def __init__(*args, **kwargs):  # a template may name a member "self"
        self, *given = args
        members = dict(*given, **kwargs)
        for name in members:
            _refuse_hidden(name)
        jinja2.utils.Namespace.__init__(self, members)

    def __setitem__(self, name, value):
        _refuse_hidden(name)
        super().__setitem__(name, value)


class _Dict:
    """`dict` as a template may call it, without the type behind it."""

    def __call__(self, *args, **kwargs) -> dict:
        return dict(*args, **kwargs)


class Sandboxed:
    """A compiled template; `place` names it in messages to people.

    Raises ChatTemplateError, with the line, for one that is too long or no valid Jinja.
    """

    def __init__(self, source: str, place: str, *, marked: bool = False):
        if len(source) > LARGEST_TEMPLATE:
            raise ChatTemplateError(f"{place}: {len(source):,} characters; a template has at most {LARGEST_TEMPLATE:,}")
        if any(mark in source for mark in MARKS):
            raise ChatTemplateError(f"{place}: U+FDD0 and U+FDD1 are no characters of a text; take them out")
        self.place = place
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_MarkedGeneration if marked else _Generation, loopcontrols],
        )
        environment.filters["tojson"] = _to_json
        environment.globals.update(
            raise_exception=_refuse, strftime_now=_strftime_now, dict=_Dict(), namespace=_Namespace
        )
        self._environment = environment
        self._source = source
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise ChatTemplateError(f"{place}:{error.lineno}: {error.message}") from None
        except (RecursionError, MemoryError, OverflowError, ValueError) as error:
            raise ChatTemplateError(f"{place}: cannot be compiled ({error})") from None

    def render(self, variables: Mapping[str, Any]) -> str:
        """What the template writes. Raises ChatTemplateError with what stops it, or where the text grows too long."""
        written: list[str] = []
        length = 0
        try:
            for part in self._template.generate(**variables):
                written.append(part)
                length += len(part)
                if length > LARGEST_TEXT:
                    raise ChatTemplateError(f"{self.place}: it writes more than {LARGEST_TEXT:,} characters")
        except ChatTemplateError:
            raise
        except Exception as error:  # a template can come upon any error of Python's
            raise ChatTemplateError(f"{self.place}: {error}") from None
        return "".join(written)

    def literals(self) -> str:
        """The text that stands in the template itself, NUL between its parts."""
        tree = self._environment.parse(self._source)
        data = [node.data for node in tree.find_all(nodes.TemplateData)]
        return "\0".join([*data, *(node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str))])


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _refuse_hidden(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace has no member {name!r}")


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _to_json(value: object, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    """Unlike Jinja's own filter it leaves the signs of HTML and all letters as they are."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
