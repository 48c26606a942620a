"""What a chat template can do, and what it cannot."""

import datetime

import pytest

from inkstone.tokens import template_sandbox
from inkstone.tokens.template_sandbox import ANSWER_CLOSES, ANSWER_OPENS, ChatTemplateError, Sandboxed


def written(source: str, **variables) -> str:
    return Sandboxed(source, "a.jinja").render(variables)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ x | tojson }}", '{"名": "<&\'>"}'),
        ("{{ x | tojson(indent=1) }}", '{\n "名": "<&\'>"\n}'),
        ("{{ strftime_now('%Y') }}", str(datetime.datetime.now().year)),
        ("{% for n in [1, 2, 3] %}{% if n == 2 %}{% continue %}{% endif %}{{ n }}{% endfor %}", "13"),
        ("{% for n in [1, 2, 3] %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}", "1"),
        ("{% set s = namespace(n=1, self=2) %}{% set s.n = 3 %}{{ s.n }}{{ s.self }}", "32"),
        ("{{ '{0.__class__}'.format(x) }}", ""),  # what is not for it is nothing
        ("{{ dict(a=1) }}{{ missing }}{{ missing is defined }}", "{'a': 1}False"),
        ("{% if true %}\n  {% set a = 1 %}\nx\n{% endif %}\n", "x\n"),  # blocks leave no blank lines
        ("a{% generation %}b{% set c = 1 %}{% endgeneration %}c", "abc"),
        ("{%- generation -%} b {%- endgeneration -%}", "b"),
    ],
)
def test_what_templates_use(source, expected):
    assert written(source, x={"名": "<&'>"}) == expected


def test_marks_stand_around_what_the_model_writes_in_macros_too():
    source = "{% macro m(x) %}({% generation %}{{ x }}{% endgeneration %}){% endmacro %}{{ m('a') }}{{ m('b') }}"
    marked = Sandboxed(source, "a.jinja", marked=True).render({})
    assert marked == f"({ANSWER_OPENS}a{ANSWER_CLOSES})({ANSWER_OPENS}b{ANSWER_CLOSES})"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ x.__class__.__mro__ }}", "a.jinja: "),
        ("{{ x.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ ''['__class__'] ['__mro__'] }}", "unsafe"),
        ("{{ (x | attr('__class__')).__name__ }}", "a.jinja: "),
        ("{{ dict.__class__.__init__.__globals__ }}", "unsafe|undefined"),
        ("{% set _ = x.append(1) %}", "unsafe"),
        ("{% set n = namespace(__class__=1) %}", "no member '__class__'"),
        ("{% set n = namespace() %}{% set n._x = 1 %}", "no member '_x'"),
        ("{% include 'other' %}", "a.jinja: "),
        ("{{ raise_exception('no such order') }}", "^a.jinja: no such order$"),
        ("{{ x[9].content }}", "a.jinja: "),
        ("{{ 1 // 0 }}", "a.jinja: "),
        ("a\n{% if %}", "^a.jinja:2: "),
        ("{% nothing %}", "^a.jinja:1: "),
        ("{% generation %}", "^a.jinja:1: "),
        ("a" + ANSWER_OPENS, "U\\+FDD0"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "a.jinja: maximum recursion"),
    ],
)
def test_what_they_cannot_do(source, words):
    with pytest.raises(ChatTemplateError, match=words):
        assert written(source, x=[]) == "never"


def test_sizes_are_bounded(monkeypatch):
    monkeypatch.setattr(template_sandbox, "LARGEST_TEMPLATE", 100)
    monkeypatch.setattr(template_sandbox, "LARGEST_TEXT", 1000)
    with pytest.raises(ChatTemplateError, match=r"a\.jinja: 101 characters; a template has at most 100"):
        written("a" * 101)
    assert len(written("{% for n in range(100) %}{{ 'a' * 10 }}{% endfor %}")) == 1000
    with pytest.raises(ChatTemplateError, match=r"a\.jinja: it writes more than 1,000 characters"):
        written("{% for n in range(100000) %}{{ 'a' * 10 }}{% endfor %}")


def test_its_own_text_is_told():
    told = Sandboxed("<|a|>{{ '<|b|>' + x }}{% if y == '<|c|>' %}d{% endif %}{# <|e|> #}", "a.jinja").literals()
    assert {part for part in told.split("\0") if part} == {"<|a|>", "<|b|>", "<|c|>", "d"}


@pytest.mark.parametrize(
    "source",
    [
        "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
)
def test_a_template_that_goes_on_for_ever_is_stopped(monkeypatch, source):
    monkeypatch.setattr(template_sandbox, "LONGEST_TIME", 0.3)
    with pytest.raises(ChatTemplateError, match="longer than"):
        written(source)


@pytest.mark.parametrize(
    "source", ["{{ 'x' * 10**9 }}", "{{ 2 ** 99999 }}", "{{ '%99999999d' % 1 }}", "{{ [1] * 10000000 }}"]
)
def test_nothing_huge_is_multiplied(source):
    with pytest.raises(ChatTemplateError, match="too large"):
        written(source)


def test_small_products_are_what_they_are():
    assert written("{{ '-' * 3 }}{{ 6 * 7 }}{{ 2 ** 5 }}{{ 7 % 3 }}{{ '%02d' % 5 }}") == "---42321" + "05"


def test_loops_say_the_same_as_without_a_clock():
    source = "{% for a in x recursive %}{{ a.n }}{% if loop.last %}.{% endif %}{{ loop(a.c) if a.c }}{% endfor %}{% for a in [] %}{% else %}none{% endfor %}"
    assert written(source, x=[{"n": 1, "c": [{"n": 2, "c": []}]}, {"n": 3, "c": []}]) == "12.3.none"


def test_what_a_template_reads_is_known():
    template = Sandboxed("{% for m in messages %}{% if tools %}{{ m }}{% endif %}{% endfor %}", "a.jinja")
    assert template.reads("tools") and not template.reads("documents")
