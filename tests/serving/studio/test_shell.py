"""The shell of the studio: languages, colours, small screens, keys, and errors in words."""

import pytest

from ..servers import served, write_decoder

pytestmark = pytest.mark.slow
PAGES = ["chat", "compare", "tasks", "attention", "runs", "data", "feedback"]


def test_the_language_changes_in_place_and_stays(visit):
    window = visit()
    page = window.open("chat")
    page.fill("#ask", "half a thou")
    page.click("#language")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.inner_text("#pages a >> nth=0") == "对话"
    assert page.get_attribute("#ask", "placeholder") == "问点什么……"
    assert page.input_value("#ask") == "half a thou"
    assert page.title().startswith("对话")
    page.reload()
    page.wait_for_selector("main[data-ready]")
    assert page.inner_text("#pages a >> nth=0") == "对话"


def test_the_language_is_the_browsers_at_first(visit):
    assert visit(locale="zh-CN").open("tasks").get_attribute("html", "lang") == "zh-Hans"
    assert visit(locale="de-DE").open("tasks").get_attribute("html", "lang") == "en"


def darkness(page) -> float:
    """How dark the paper is, 0 to 1."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return 1 - sum(float(part) for part in colour[4:-1].split(",")) / 765


def test_colours_follow_the_system_until_they_are_chosen(visit):
    window = visit(color_scheme="dark")
    page = window.open("chat")
    assert darkness(page) > 0.8
    page.emulate_media(color_scheme="light")
    assert darkness(page) < 0.1
    page.click("#theme")
    assert darkness(page) > 0.8
    page.reload()
    page.wait_for_selector("main[data-ready]")
    assert darkness(page) > 0.8
    page.click("#theme")
    page.emulate_media(color_scheme="dark")  # the choice was the system's again, so the system is followed
    assert darkness(page) > 0.8
    assert page.evaluate("localStorage.getItem('inkstone-theme')") is None


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_a_phone_needs_no_sideways_scrolling(visit, language):
    window = visit(viewport={"width": 390, "height": 844}, locale=language, has_touch=True)
    for name in PAGES:
        page = window.open(name)
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], name
        window.keep(f"phone-{name}-{language[:2]}")


def test_settings_slide_in_on_a_phone(visit):
    page = visit(viewport={"width": 390, "height": 844}).open("chat")
    assert not page.is_visible("#drawer-settings")
    page.click("button[aria-controls='drawer-settings']")
    page.fill("#drawer-settings input[type=number] >> nth=1", "7")
    page.keyboard.press("Escape")
    assert not page.is_visible("#drawer-settings")
    assert page.evaluate("document.activeElement.getAttribute('aria-controls')") == "drawer-settings"


def test_the_keyboard_skips_to_the_page(visit):
    page = visit().open("attention")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "page"
    assert page.url.endswith("#/attention")


def test_a_page_that_is_none_is_said(visit):
    page = visit().page
    page.goto(f"{visit().server.url}/#/nowhere")
    assert "nowhere" in page.inner_text(".notice")


def test_a_server_that_is_gone_is_said_in_words(visit):
    window = visit()
    page = window.open("attention")
    page.route("**/studio/api/attention", lambda route: route.abort())
    page.fill("textarea >> nth=0", "ink")
    page.click("text=Show")
    page.wait_for_selector(".notice.wrong")
    assert "inkstone serve" in page.inner_text(".notice.wrong")
    page.click(".notice button")
    assert page.locator(".notice").count() == 0


def test_an_error_of_the_server_is_said_in_its_words(visit):
    window = visit()
    page = window.open("attention")
    page.fill("textarea >> nth=0", "ink and paper " * 400)
    page.click("text=Show")
    page.wait_for_selector(".notice.wrong")
    assert "tokens" in page.inner_text(".notice.wrong")
    window.keep("error")


def test_a_key_is_asked_for_and_stays_in_the_tab(visit, tmp_path):
    with served([write_decoder(tmp_path / "locked")], keys=("a-key-of-the-house",)) as server:
        window = visit(server)
        page = window.page
        page.goto(f"{server.url}/#/attention")
        page.wait_for_selector("dialog[open]")
        page.fill("#key-field", "a-wrong-key")
        page.keyboard.press("Enter")
        page.wait_for_selector(".notice.wrong >> text=not known")
        page.wait_for_selector("dialog[open]")
        page.fill("#key-field", "a-key-of-the-house")
        page.keyboard.press("Enter")
        page.wait_for_selector("main[data-ready='attention']")
        assert page.input_value("select") == "locked"
        assert page.evaluate("[sessionStorage.getItem('inkstone-key'), JSON.stringify(localStorage)]")[0]
        assert "a-key-of-the-house" not in page.evaluate("JSON.stringify(localStorage)")
        page.goto("about:blank")
