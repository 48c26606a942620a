"""Forms of tasks. Labels come from a model; for the others the server's answers are given, in the shape that each task has."""

import json
import struct

import httpx
import pytest

pytestmark = pytest.mark.slow


def test_labels_with_their_probabilities(visit, studio):
    window = visit()
    page = window.open("tasks?model=labels")
    page.fill("textarea", "the ink is black")
    page.click("button:text-is('Ask')")
    page.wait_for_selector(".bar")
    (answer,) = httpx.post(f"{studio.url}/v1/tasks/labels", json={"input": "the ink is black"}).json()["data"]
    assert page.inner_text(".verdict") == answer["label"]
    shown = dict(bar.split("\n") for bar in page.locator(".bar").all_inner_texts())
    assert set(shown) == set(answer["probabilities"])  # "<b>odd</b>" as it is written
    for name, chance in answer["probabilities"].items():
        assert float(shown[name].removesuffix(" %")) == pytest.approx(100 * chance, abs=0.51)
    window.keep("labels")


def given(window, task: str, answer: dict, **model):
    """A page with a model of a task that has this answer to everything."""
    described = {"id": "given", "kind": "task", "task": task, "labels": [], "family": "encoder", "context": 64, **model}
    page = window.page
    asked: list[dict] = []
    page.route("**/studio/api/models", lambda route: route.fulfill(json={"data": [described]}))

    def answered(route):
        asked.append(route.request.post_data_json)
        route.fulfill(json={"data": [answer]})

    page.route("**/v1/tasks/given", answered)
    window.open("tasks")
    return page, asked


def put(page, *texts: str) -> None:
    for place, text in enumerate(texts):
        page.locator(".inputs textarea").nth(place).fill(text)
    page.click("button:text-is('Ask')")
    page.wait_for_selector(".result:not(:empty)")


def test_an_answer_stands_in_its_passage(visit):
    passage = "𝒜 stone 🖋 from Duanxi, <i>Guangdong</i>."
    start = len("𝒜 stone 🖋 from ")  # characters as Python counts them
    answer = {"text": "Duanxi", "start": start, "stop": start + 6, "confidence": 0.8}
    page, asked = given(visit(), "answer", answer)
    put(page, passage, "Where from?")
    assert asked == [{"input": "Where from?", "context": passage}]
    assert page.inner_text("mark.found") == "Duanxi"
    assert page.inner_text(".passage") == passage
    assert "80 %" in page.inner_text(".result")


def test_a_question_without_an_answer(visit):
    answer = {
        "text": "",
        "start": None,
        "stop": None,
        "confidence": 0.9,
        "no_answer": 2.0,
        "best": {"text": "a stone", "start": 0, "stop": 7},
    }
    page, _ = given(visit(), "answer", answer)
    put(page, "a stone", "Who?")
    assert "no answer" in page.inner_text(".result") and "a stone" in page.inner_text(".result")


def test_names_in_colour(visit):
    text = "Su Shi 🖌 lived in Huangzhou."
    spans = [
        {"start": 0, "end": 6, "label": "PER", "text": "Su Shi", "tokens": [0, 2]},
        {"start": 18, "end": 27, "label": "LOC", "text": "Huangzhou", "tokens": [5, 6]},
    ]
    window = visit()
    page, _ = given(window, "tag", {"tokens": [], "tags": [], "offsets": [], "spans": spans, "probability": 0.5})
    put(page, text)
    assert page.locator("mark").all_text_contents() == ["Su ShiPER", "HuangzhouLOC"]
    assert page.locator(".coloured").text_content() == text.replace("Su Shi", "Su ShiPER").replace(
        "Huangzhou", "HuangzhouLOC"
    )
    colours = page.evaluate(
        "[...document.querySelectorAll('mark')].map(each => getComputedStyle(each).backgroundColor)"
    )
    assert len(set(colours)) == 2
    window.keep("names")


def test_tags_stand_under_words_and_cut_words_apart(visit):
    page, _ = given(visit(), "tag", {"tokens": ["ink", "dries"], "tags": ["NOUN", "VERB"], "probability": 0.5})
    put(page, "ink dries")
    assert page.locator("mark").all_text_contents() == ["inkNOUN", "driesVERB"]
    page, _ = given(
        visit(), "tag", {"words": ["研", "墨汁"], "offsets": [[0, 1], [1, 3]], "probability": 0.5}, segment=True
    )
    put(page, "研墨汁")
    assert page.locator(".cut span").all_text_contents() == ["研", "墨汁"]


def test_roles_of_a_predicate(visit):
    answer = {
        "tokens": ["Anna", "ground", "the", "ink", "."],
        "offsets": [[0, 4], [5, 11], [12, 15], [16, 19], [19, 20]],
        "predicates": [
            {
                "text": "ground", "start": 5, "end": 11, "tokens": [1, 2], "probability": 0.7,
                "roles": [
                    {"label": "A1", "question": "what", "text": "the ink", "start": 12, "end": 19, "tokens": [2, 4]},
                    {"label": "A0", "question": "who", "text": "Anna", "start": 0, "end": 4, "tokens": [0, 1]},
                ],
            }
        ],
    }  # fmt: skip
    page, _ = given(visit(), "roles", answer)
    put(page, "Anna ground the ink.")
    assert page.locator(".coloured").text_content() == "AnnaA0 · who ground the inkA1 · what."
    assert page.inner_text(".verb") == "ground"


def test_a_record_as_a_table(visit):
    record = {"name": "<u>Anna</u>", "brushes": 3, "towns": ["Rome", "Hefei"], "address": {"street": None}}
    page, _ = given(visit(), "extract", {"record": record, "confidence": 0.9})
    put(page, "x")
    assert page.locator(".record th").all_text_contents() == ["name", "brushes", "towns", "address", "street"]
    assert page.locator("td >> nth=0").text_content() == "<u>Anna</u>"
    page.click("summary")
    assert json.loads(page.inner_text("pre")) == record


def test_a_translation_goes_both_ways(visit):
    directions = {"targets": ["en", "zh"], "directions": [["en", "zh"], ["zh", "en"]]}
    page, asked = given(visit(), "translate", {"translation": "墨", "confidence": 0.9, "to": "zh"}, **directions)
    assert page.locator(".inputs option").all_text_contents() == ["as the text suggests", "English", "Chinese"]
    put(page, "ink")
    page.click("text=The other way round")
    page.wait_for_function("() => document.querySelector('.inputs textarea').value === '墨'")
    assert asked == [{"input": "ink"}, {"input": "墨", "to": "en"}]


def test_the_nearest_text_stands_first(visit):
    window = visit()
    window.page.route(
        "**/v1/embeddings",
        lambda route: route.fulfill(json={"data": [{"embedding": each} for each in ([1, 0], [0, 2], [3, 1], [-1, 0])]}),
    )
    page, _ = given(window, "embed", {})
    page.locator("textarea").nth(0).fill("ink")
    page.locator("textarea").nth(1).fill("paper\n\nsoot\nsnow")
    page.click("text=Find the nearest")
    page.wait_for_selector(".bar")
    assert page.locator(".bar").all_inner_texts() == ["soot\n0.95", "paper\n0.00", "snow\n-1.00"]


def test_what_the_microphone_hears_is_sent_as_wav(visit):
    window = visit()
    sent: list[bytes] = []

    def heard(route):
        sent.append(route.request.post_data_buffer)
        words = [{"word": "seven", "start": 0.1, "end": 0.4}, {"word": "one", "start": 0.5, "end": 0.8}]
        route.fulfill(json={"text": "seven one", "duration": 1.0, "segments": [], "words": words})

    window.page.route("**/v1/audio/transcriptions", heard)
    page, _ = given(window, "transcribe", {})
    page.click("#record")
    page.wait_for_selector("text=Recording … 1 s")
    page.click("#record")
    page.wait_for_selector(".wave path")
    (body,) = sent
    at = body.index(b"RIFF")
    channels, rate = struct.unpack_from("<HI", body, at + 22)
    assert (body[at + 8 : at + 12], channels, rate) == (b"WAVE", 1, 16000)
    (size,) = struct.unpack_from("<I", body, at + 40)
    assert any(body[at + 44 : at + 44 + size])  # Chromium's make-believe microphone beeps once a second
    assert b'name="model"\r\n\r\ngiven' in body
    assert page.inner_text(".verdict") == "seven one"
    assert page.locator(".word").all_inner_texts() == ["seven\n0.10", "one\n0.50"]
    window.keep("speech")


def test_an_error_of_a_task_is_said(visit):
    window = visit()
    page = window.open("tasks?model=labels")
    page.route(
        "**/v1/tasks/labels",
        lambda route: route.fulfill(status=500, json={"error": {"message": "it broke <b>down</b>"}}),
    )
    page.fill("textarea", "x")
    page.click("button:text-is('Ask')")
    page.wait_for_selector(".notice.wrong >> text=it broke <b>down</b>")
    assert page.is_enabled("button:text-is('Ask')")
