"""axe-core on each page in both themes, with something on it; nothing serious may be found."""

import pytest

from .test_chat import ask, few_tokens

pytestmark = pytest.mark.slow
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
SERIOUS = ("serious", "critical")


def found(page) -> list[str]:
    """What axe finds, both of contrast and of structure."""
    # The rules of axe run in the page; the policy stands in the way of its script tag, not of the driver's own evaluation.
    results = axe.Axe().run(page)
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in results.response["violations"]
        if each["impact"] in SERIOUS
    ]


def talked(page) -> None:
    few_tokens(page)
    ask(page, "What is ink?")
    page.click("button[title='Token probabilities']")


def continued(page) -> None:
    few_tokens(page)
    page.fill(".beginning", "the ink is ")
    page.click("button.on")
    page.wait_for_function("() => document.querySelector('.paper:not([aria-busy]) .token')")


def compared(page) -> None:
    page.locator("summary").click()
    page.locator(".sampling input[type=number]").nth(1).fill("8")
    page.fill("#both", "ink")
    page.click("text=Ask both")
    page.wait_for_selector("text=This one is better")


def labelled(page) -> None:
    page.fill("textarea", "ink")
    page.click("button:text-is('Ask')")
    page.wait_for_selector(".bar")


def attended(page) -> None:
    page.fill("textarea >> nth=0", "ink and paper")
    page.click("text=Show")
    page.wait_for_selector(".grid")


WALKS = {
    "chat?model=tiny": talked,
    "chat?model=base": continued,
    "compare": compared,
    "tasks?model=labels": labelled,
    "attention?model=base": attended,
    "runs": None,
    "data": None,
    "feedback": None,
}


@pytest.mark.parametrize("name", WALKS)
def test_nothing_serious(visit, name):
    window = visit()
    page = window.open(name)
    if walk := WALKS[name]:
        walk(page)
    light = found(page)
    page.emulate_media(color_scheme="dark")
    window.keep(f"dark-{name.partition('?')[0]}")
    assert light + found(page) == []


def test_a_phone_and_an_error(visit):
    page = visit(viewport={"width": 390, "height": 844}, locale="zh-CN").open("attention")
    page.fill("textarea >> nth=0", "ink and paper " * 400)
    page.click("text=显示")
    page.wait_for_selector(".notice.wrong")
    assert found(page) == []
