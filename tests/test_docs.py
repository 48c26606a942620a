"""The documentation says what the code does: links, options, settings and file names are checked against it."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest

from inkstone.cli import VERBS, parser_for
from inkstone.recipe import Recipe, with_settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
LANGUAGES = ["", ".zh"]
EVERYWHERE = {"--json", "--debug", "--help"}  # options of every verb, described once

CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source)[^>]* (?:src|srcset)=\"([^\"]+)\"")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def sections(text: str) -> dict[str, str]:
    """The text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {title.strip(): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("page", PAGES + READMES, ids=name_of)
def test_links_lead_to_files(page: Path):
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    for target in (first or second for first, second in LINK.findall(text)):
        if not re.match(r"[a-z]+:", target):
            path = (page.parent / target.partition("#")[0]).resolve()
            assert path.exists(), f"{target} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_is_there_in_both_languages(page: Path):
    stem = page.name.removesuffix(".md").removesuffix(".zh")
    assert {f"{stem}.md", f"{stem}.zh.md"} <= {path.name for path in page.parent.iterdir()}


@pytest.mark.parametrize("page", PAGES + READMES, ids=name_of)
def test_files_of_the_code_that_are_named_exist(page: Path):
    for path in re.findall(r"`((?:src|tests|benchmarks)/[\w./-]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{path} does not exist"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_is_documented_and_no_other(verb: str, language: str):
    body = sections((DOCS / f"commands{language}.md").read_text(encoding="utf-8"))[f"inkstone {verb}"]
    documented = set(re.findall(r"^\| `(--[\w-]+)", body, re.MULTILINE))
    (verbs,) = (action for action in parser_for(verb)._actions if action.dest == "verb")
    actions = verbs.choices[verb]._actions  # type: ignore[index]
    options = {action.option_strings[-1] for action in actions if action.option_strings} - EVERYWHERE
    assert documented == options


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_of_the_recipe_is_documented_with_its_default(language: str):
    found = sections((DOCS / f"recipe{language}.md").read_text(encoding="utf-8"))
    for section, field in Recipe.model_fields.items():
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", found[f"[{section}]"], re.MULTILINE)
        keys = field.annotation.model_fields  # type: ignore[union-attr]
        assert [key for key, _ in rows] == list(keys), f"settings of [{section}], in their order"
        for key, default in rows:
            value = keys[key].default
            if value is not None:
                assert default.strip() == f"`{json.dumps(value)}`", f"the default of {section}.{key}"


@pytest.mark.parametrize("page", PAGES + READMES, ids=name_of)
def test_python_in_the_text_is_python(page: Path):
    for kind, code in CODE.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            ast.parse(code)


@pytest.mark.parametrize("page", PAGES + READMES, ids=name_of)
def test_commands_in_the_text_parse(page: Path):
    for kind, code in CODE.findall(page.read_text(encoding="utf-8")):
        if kind != "sh":
            continue
        for line in code.splitlines():
            words = shlex.split(line, comments=True)
            if (
                words[:1] == ["inkstone"]
                and words[1:2]
                and words[1] in VERBS
                and not re.search(r"[A-Z]{3,}|\.\.\.", line)
            ):
                try:
                    parser_for(words[1]).parse_args(words[1:])
                except SystemExit:
                    pytest.fail(f"{line!r} is refused")


@pytest.mark.parametrize("page", [page for page in PAGES if ".zh" not in page.name] + READMES[:1], ids=name_of)
def test_both_languages_show_the_same_commands(page: Path):
    chinese = READMES[1] if page in READMES else page.with_name(f"{page.stem}.zh.md")
    assert plain_commands(page) == plain_commands(chinese)


def plain_commands(page: Path) -> list[str]:
    """The command lines of a page without comments and quoted words; those with words to be filled in are left out."""
    lines = [
        line
        for kind, code in CODE.findall(page.read_text(encoding="utf-8"))
        if kind == "sh"
        for line in code.splitlines()
    ]
    commands = [re.sub(r'"[^"]*"', '""', line.partition("#")[0]).strip() for line in lines]
    return [
        command for command in commands if command and command.isascii() and not re.search(r"\b[A-Z]{3,}\b", command)
    ]


@pytest.mark.parametrize("page", PAGES + READMES, ids=name_of)
def test_settings_in_the_text_hold(page: Path):
    for setting in re.findall(r"--set ([a-z]+\.\w+=(?:'[^']*'|[^\s`]+))", page.read_text(encoding="utf-8")):
        with_settings(Recipe(), [setting.replace("'", "")])
