"""Where a chat template runs: Jinja as `transformers` sets it up for them, in a sandbox.

A template comes with a model and may be a stranger's. It sees the messages and the names of a few tokens, as plain data, and
can reach nothing else; its size, that of the text it writes, and its time are bounded. The clock is looked at in every turn of a
loop, in every call and before every multiplication, whose outcome is bounded in size as well. Its memory is not bounded otherwise.
"""

import datetime
import json
import re
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inkstone.errors import InkstoneError

LARGEST_TEMPLATE = 1 << 18  # characters; the longest of published ones have some twenty thousand
LARGEST_TEXT = 1 << 24  # characters that one conversation may become
LONGEST_TIME = 20.0  # seconds that writing one down may take; the longest conversations take a few
LARGEST_PRODUCT = 1 << 20  # of a text and a number, in characters

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


class _Timed(ImmutableSandboxedEnvironment):
    """A sandbox that looks at the clock wherever a template could go on for long."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, place: str, **settings: Any):
        super().__init__(**settings)
        self.place = place
        self.clock = threading.local()  # conversations may be written down on several threads at once

    def tick(self) -> str:
        """Raises ChatTemplateError once the time is over."""
        if time.monotonic() > getattr(self.clock, "deadline", float("inf")):
            raise ChatTemplateError(f"{self.place}: it takes longer than {LONGEST_TIME:g} s")
        return ""

    def call(*arguments, **named):  # a template may name an argument "self"
        self, *rest = arguments
        self.tick()
        return ImmutableSandboxedEnvironment.call(self, *rest, **named)  # pyright: ignore[reportArgumentType]

    def call_binop(self, context, operator, left, right):
        """Products and powers, as long as they are small."""
        self.tick()
        sizes = [len(each) if isinstance(each, str | list | tuple) else each for each in (left, right)]
        if (
            operator == "*"
            and all(isinstance(size, int) for size in sizes)
            and not all(isinstance(each, int) for each in (left, right))
        ):
            too_large = sizes[0] * sizes[1] > LARGEST_PRODUCT
        elif operator == "**":
            too_large = any(isinstance(each, int | float) and abs(each) > 1000 for each in (left, right))
        else:  # "%9999d" writes a number with so many places
            too_large = isinstance(left, str) and re.search(r"\d{4}|\*", left) is not None
        if too_large:
            raise ChatTemplateError(f"{self.place}: {operator!r} would make something too large")
        return super().call_binop(context, operator, left, right)

    def _generate(self, source: nodes.Template, *arguments: Any, **named: Any) -> Any:
        for loop in source.find_all(nodes.For):
            tick = nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None)
            loop.body.insert(0, nodes.Output([tick]).set_environment(self))
        return super()._generate(source, *arguments, **named)


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
        environment = _Timed(
            place,
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
        self._environment.clock.deadline = time.monotonic() + LONGEST_TIME
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

    def reads(self, name: str) -> bool:
        """Whether the template looks at a variable of that name."""
        return name in meta.find_undeclared_variables(self._environment.parse(self._source))

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
