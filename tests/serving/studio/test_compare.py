"""Two models side by side."""

import json

import httpx
import pytest

pytestmark = pytest.mark.slow


def ask_both(page, text: str) -> None:
    page.locator("summary").click()
    page.locator(".sampling input[type=number]").nth(1).fill("12")
    page.fill("#both", text)
    page.click("text=Ask both")
    page.wait_for_selector("text=This one is better")


def test_both_write_and_one_is_preferred(visit, studio):
    window = visit()
    page = window.open("compare?left=tiny&right=base")
    ask_both(page, "the paper is")
    assert page.locator(".side h2").all_inner_texts() == ["tiny", "base"]
    answers = page.locator(".side .words").all_inner_texts()
    assert all(answers)
    page.locator("text=This one is better").nth(1).click()
    page.wait_for_selector("text=You preferred this one")
    assert page.locator(".side").nth(1).locator("text=You preferred this one").count() == 1
    kept = json.dumps(httpx.get(f"{studio.url}/studio/api/feedback").json())
    mark = next(each for each in walk(json.loads(kept)) if each.get("kind") == "better")
    assert (mark["model"], mark["other_model"]) == ("base", "tiny")
    assert mark["messages"][-1]["content"] == "the paper is"
    assert mark["answer"].strip() and mark["other"].strip() and mark["answer"] != mark["other"]
    window.keep("compare")


def walk(value):
    """All objects in JSON."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from walk(each)


def test_names_are_hidden_until_one_is_preferred(visit):
    page = visit().open("compare?left=tiny&right=base")
    page.check("input[type=checkbox]")
    ask_both(page, "ink")
    assert page.locator(".side h2").all_inner_texts() == ["one of the two"] * 2
    page.locator("text=This one is better").first.click()
    page.wait_for_selector("text=You preferred this one")
    assert sorted(page.locator(".side h2").all_inner_texts()) == ["base", "tiny"]


def test_who_asks_again_before_the_answers_are_there_judges_the_later_ones(visit, slowed):
    page = visit().open("compare?left=tiny&right=base")
    page.locator("summary").click()
    for tokens, text in (("20", "ink"), ("40", "paper")):
        page.locator(".sampling input[type=number]").nth(1).fill(tokens)
        page.fill("#both", text)
        page.keyboard.press("Control+Enter")
        page.wait_for_function("() => document.querySelector('.side .words')?.textContent.length > 1")
    page.wait_for_selector("text=This one is better")
    assert page.locator(".side [aria-busy]").count() == 0
    page.locator("text=This one is better").first.click()
    page.wait_for_selector("text=You preferred this one")
    (mark,) = httpx.get(f"{slowed.url}/studio/api/feedback?limit=1").json()["marks"]
    assert mark["messages"][-1]["content"] == "paper"


def test_one_side_that_fails_does_not_take_the_other_along(visit):
    page = visit().open("compare?left=tiny&right=base")
    page.route(
        "**/v1/completions", lambda route: route.fulfill(status=503, json={"error": {"message": "too much to do"}})
    )
    page.fill("#both", "ink")
    page.click("text=Ask both")
    page.wait_for_selector(".notice.wrong >> text=too much to do")
    page.wait_for_function("() => document.querySelectorAll('.side [aria-busy]').length === 0")
    assert page.locator(".side .words").first.inner_text().strip()
    assert page.locator("text=This one is better").count() == 0
