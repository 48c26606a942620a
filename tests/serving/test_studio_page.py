"""The studio's files as the server gives them out: nothing but them, under headers that let nothing else in."""

import re
from importlib.resources import files

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from inkstone.serving.api_errors import add_handlers
from inkstone.serving.studio_page import names, router

STUDIO = files("inkstone.serving").joinpath("studio")


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    add_handlers(app)
    app.include_router(router)
    return TestClient(app)


def test_the_page_lets_nothing_in_from_elsewhere(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_holds_no_script_or_style_that_the_policy_refuses(client):
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)


@pytest.mark.parametrize("name", sorted(names()))
def test_no_file_names_another_address(client, name):
    answer = client.get(f"/studio/{name}")
    assert answer.status_code == 200
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", answer.text))
    assert addresses <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", [name for name in sorted(names()) if name.endswith(".js")])
def test_no_script_turns_text_into_markup_or_code(name):
    script = STUDIO.joinpath(name).read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc", script
    )


@pytest.mark.parametrize("name", [name for name in sorted(names()) if name.endswith(".js")])
def test_scripts_import_what_is_there(name):
    script = STUDIO.joinpath(name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:from|import) \"\./([\w.]+)\"", script)) <= names()


def test_a_file_that_was_not_changed_is_not_sent_again(client):
    first = client.get("/studio/app.js")
    again = client.get("/studio/app.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content


@pytest.mark.parametrize("name", ["nothing.js", "..%2fapp.py", "%2e%2e%2fsettings.py", "studio_page.py"])
def test_there_is_nothing_but_the_studio(client, name):
    answer = client.get(f"/studio/{name}")
    assert answer.status_code == 404
    assert "message" in answer.json()["error"]


def dictionary(script: str) -> tuple[set[str], set[str]]:
    """The keys of both languages of a script's dictionary of words."""
    found = re.search(r"words = \{\n  en: \{(.*?)\n  \},\n  zh: \{(.*?)\n  \},\n\};", script, re.DOTALL)
    if not found:
        return set(), set()
    entry = re.compile(r"(?:^|[,{\s])(?:\"([^\"]+)\"|(\w+)): (?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`)")
    english, chinese = ({first or second for first, second in entry.findall(part)} for part in found.groups())
    return english, chinese


@pytest.mark.parametrize("name", [name for name in sorted(names()) if name.endswith(".js")])
def test_both_languages_say_the_same(name):
    english, chinese = dictionary(STUDIO.joinpath(name).read_text(encoding="utf-8"))
    assert english == chinese


def test_the_dictionary_is_read_by_the_test_above():
    english, chinese = dictionary(STUDIO.joinpath("words.js").read_text(encoding="utf-8"))
    assert {"chat", "no answer"} <= english & chinese
