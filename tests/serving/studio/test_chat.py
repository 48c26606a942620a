"""Conversations and texts in the studio, walked through as a person would."""

import json
import math
import re

import httpx
import pytest

pytestmark = pytest.mark.slow
EVIL = '<img src=x onerror="window.hit = 1"><script>window.hit = 2</script>\n\n[a](javascript:window.hit=3) `<b>`'


def ask(page, text: str, settle: bool = True) -> None:
    """Ask, and wait until the answer is there."""
    before = page.locator("article.said").count()
    page.fill("#ask", text)
    page.keyboard.press("Enter")
    page.wait_for_function("n => document.querySelectorAll('article.said').length > n", arg=before)
    if settle:
        settled(page)


def settled(page) -> None:
    page.wait_for_function(
        "() => !document.querySelector('[aria-busy]') && document.querySelector('.composer .go')?.title !== 'Stop'"
    )


def words(page, place: int = -1) -> str:
    return page.locator("article.said .words").nth(place).inner_text()


def few_tokens(page, number: int = 12, seed: int = 1) -> None:
    page.locator(".sampling input[type=number]").nth(1).fill(str(number))
    page.locator(".sampling input[type=number]").nth(2).fill(str(seed))


def test_an_answer_streams_in_and_stops(visit, slowed):
    window = visit()
    page = window.open("chat")
    few_tokens(page, 180)
    ask(page, "What is ink?", settle=False)
    page.wait_for_function("() => document.querySelector('article.said .words').textContent.length > 3")
    early = words(page)
    page.wait_for_function(
        "n => document.querySelector('article.said .words').textContent.length > n", arg=len(early) + 3
    )
    assert words(page).startswith(early[:3])
    page.click("button[title=Stop]")
    settled(page)
    assert "Stopped." in page.inner_text("article.said")
    engine = slowed.house.find("tiny").engine
    page.wait_for_timeout(300)
    assert engine.facts.running == 0  # the server stopped too
    window.keep("chat-stopped")


def test_several_turns_another_answer_and_an_edit(visit):
    page = visit().open("chat")
    few_tokens(page)
    sent: list[dict] = []
    page.on("request", lambda request: sent.append(request.post_data_json) if "/v1/chat" in request.url else None)
    page.fill(".system textarea", "Be short.")
    ask(page, "What is ink?")
    ask(page, "And paper?")
    first = words(page, 0)
    assert [message["role"] for message in sent[-1]["messages"]] == ["system", "user", "assistant", "user"]
    assert sent[-1]["messages"][0]["content"] == "Be short."
    assert (sent[-1]["max_tokens"], sent[-1]["seed"]) == (12, 1)
    page.locator(".sampling input[type=number]").nth(2).fill("2")
    page.locator("article.said button[title='Answer again']").nth(1).click()
    page.wait_for_selector("text=2 of 2")
    settled(page)
    other = words(page, 1)
    page.click("button[title='Earlier answer']")
    assert page.is_visible("text=1 of 2") and words(page, 1) != other
    page.locator("article.asked button[title=Edit]").first.click()
    page.fill("article.asked textarea", "What is soot?")
    page.click("text=Send it so")
    page.wait_for_function("() => document.querySelectorAll('article.said').length === 1")
    settled(page)
    assert [message["content"] for message in sent[-1]["messages"]] == ["Be short.", "What is soot?"]
    page.reload()  # it is kept by the browser
    page.wait_for_selector(".conversations button")
    page.click(".conversations button >> nth=0")
    assert "What is soot?" in page.inner_text(".log")
    assert first not in page.inner_text(".log") or first == words(page, 0)
    page.click("#delete-all")
    assert page.locator(".conversations li").count() == 0


def test_a_conversation_that_is_deleted_while_it_is_answered_stays_deleted(visit, slowed):
    page = visit().open("chat")
    few_tokens(page, 3)
    ask(page, "What is ink?")
    few_tokens(page, 180)
    for button in (".conversations button[title=Delete]", "#delete-all"):
        ask(page, "And paper?", settle=False)
        page.wait_for_function("() => document.querySelector('article.said:last-child .words').textContent.length > 1")
        page.click(button)
        settled(page)
        page.wait_for_timeout(200)
        assert page.locator(".conversations li").count() == 0
        assert json.loads(page.evaluate("localStorage.getItem('inkstone-conversations') ?? '[]'")) == []
        few_tokens(page, 3)
        ask(page, "What is soot?")
        few_tokens(page, 180)


def test_tokens_tell_their_probability(visit):
    window = visit()
    page = window.open("chat")
    few_tokens(page)
    ask(page, "What is ink?")
    page.click("button[title='Token probabilities']")
    tokens = page.locator("article.said .token")
    assert tokens.count() > 2
    tokens.nth(1).hover()
    card = page.locator(".card")
    assert card.locator(".other").count() == 5
    told = card.inner_text()
    chance = float(re.search(r"probability\s+([\d.]+) %", told)[1]) / 100
    bits = float(re.search(r"surprise\s+([\d.]+) bits", told)[1])
    assert bits == pytest.approx(-math.log2(chance), abs=0.4)
    window.keep("tokens")
    tokens.nth(0).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.place") == "1"
    page.keyboard.press("End")
    assert int(page.evaluate("document.activeElement.dataset.place")) == tokens.count() - 1
    page.keyboard.press("Escape")
    assert card.count() == 0


def test_a_mark_is_kept(visit, studio):
    page = visit().open("chat")
    few_tokens(page)
    ask(page, "Is soot black?")
    answer = words(page)
    page.click("button[title='Bad answer']")
    page.wait_for_selector("button[title='Bad answer'][aria-pressed=true]")
    page.click("button[title='Good answer']")
    page.wait_for_selector("button[title='Good answer'][aria-pressed=true]")
    assert page.get_attribute("button[title='Bad answer']", "aria-pressed") == "false"
    kept = json.dumps(httpx.get(f"{studio.url}/studio/api/feedback").json(), ensure_ascii=False)
    assert "Is soot black?" in kept and answer.split("\n")[0][:5] in kept


def test_a_text_goes_on_and_can_be_turned(visit):
    window = visit()
    page = window.open("chat?model=base")
    assert page.locator(".composer").count() == 0  # it does not converse
    few_tokens(page)
    page.fill(".beginning", "the ink is ")
    page.click("button.on")
    page.wait_for_function("() => document.querySelector('.paper:not([aria-busy]) .token')")
    assert page.inner_text(".paper").startswith("the ink is")
    others = page.locator(".card button.other:not(.same)")
    tokens = page.locator(".paper .token")
    for place in range(1, tokens.count()):  # one that could have been whole characters
        tokens.nth(place).click()
        if others.count():
            break
    before = "".join(text.replace("↵", "") for text in tokens.all_text_contents()[:place])
    chosen = re.search("“(.*)”", others.first.get_attribute("aria-label") or "", re.DOTALL)[1]  # type: ignore[index]
    others.first.click()
    page.wait_for_function("() => document.querySelector('.paper:not([aria-busy]) .token')")
    assert page.locator(".paper .prompt").text_content() == "the ink is " + before + chosen
    page.click("text=undecidedness")
    page.wait_for_selector("text=How undecided the model was")
    page.locator(".paper .token").nth(3).hover()
    assert "entropy" in page.inner_text(".card")
    window.keep("completion")
    page.select_option("select >> nth=0", "tiny")  # from the keyboard: the pointer stays where the token was
    page.wait_for_selector(".composer")
    assert page.locator(".card").count() == 0


def test_nothing_that_is_written_can_run(visit):
    window = visit()
    page = window.open("chat")
    chunk = {
        "choices": [
            {"index": 0, "delta": {"content": EVIL + "\n\n```html\n" + EVIL + "\n```"}, "finish_reason": "stop"}
        ]
    }
    stream = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    page.fill(".system textarea", EVIL)
    ask(page, EVIL)
    assert "<script>window.hit = 2</script>" in page.inner_text("article.asked")
    assert "<img src=x onerror" in page.inner_text("article.said pre")
    assert page.locator("main img, main script, main a[href^=javascript], main iframe").count() == 0
    page.reload()
    page.wait_for_selector(".conversations button")
    assert page.evaluate("window.hit") is None


def test_little_markdown_is_drawn(visit):
    page = visit().open("chat")
    text = "# Ink\n\nIt is **black** and *old*, `soot`.\n\n- one\n- two\n\n3. three\n\n> said\n\n```py\na = 1 * 2 * 3\n```\nend"
    chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    stream = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    ask(page, "x")
    told = page.evaluate(
        "Object.fromEntries(['strong', 'em', 'code', 'ul', 'ol', 'blockquote', 'pre code', '.heading']"
        ".map(name => [name, document.querySelector(`.said ${name}`)?.textContent]))"
    )
    assert told == {
        "strong": "black", "em": "old", "code": "soot", "ul": "onetwo", "ol": "three", "blockquote": "said",
        "pre code": "a = 1 * 2 * 3", ".heading": "Ink",
    }  # fmt: skip
    assert page.get_attribute(".said ol", "start") == "3"


def test_quotes_within_quotes_have_an_end(visit):
    page = visit().open("chat")
    chunk = {"choices": [{"index": 0, "delta": {"content": ">" * 20_000 + " said"}, "finish_reason": "stop"}]}
    stream = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    ask(page, "x")
    assert words(page).endswith("> said") and page.locator(".said blockquote").count() == 8


def test_an_error_leaves_the_question_there(visit):
    page = visit().open("chat")
    ask_ = "ink " * 400
    page.fill("#ask", ask_)
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.wrong")
    assert "tokens" in page.inner_text(".notice.wrong")
    assert "ink ink" in page.inner_text("article.asked")
    assert page.locator("article.said").count() == 0


def test_a_stream_that_breaks_off_is_said(visit):
    page = visit().open("chat")
    chunk = {"choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}]}
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(body=f"data: {json.dumps(chunk)}\n\n", content_type="text/event-stream"),
    )
    ask(page, "x")
    page.wait_for_selector(".notice.wrong >> text=broke off")
    assert words(page).strip() == "half"


def test_keys_that_compose_a_character_do_not_send(visit):
    page = visit().open("chat")
    page.fill("#ask", "ni")
    page.evaluate(
        "document.querySelector('#ask').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    page.keyboard.press("Shift+Enter")
    assert page.locator("article.asked").count() == 0
    assert page.input_value("#ask") == "ni\n"
