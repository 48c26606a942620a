"""The pages of runs, data and feedback in a real browser: dropped text to running training, in both languages, on a phone, without a fault for those who do not see it."""

import json
import shutil

import httpx
import pytest

from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run
from training.small_runs import MACHINE, prose

from .servers import served, write_decoder

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "runs"
    write_decoder(folder / "tiny")
    run = Run.create(folder / "poems", with_settings(Recipe(), ["train.minutes=5"]))
    for step in range(1, 60):
        run.log("train", step=step, seconds=step / 2, bits_per_byte=4 / (1 + step / 20))
        if step % 10 == 0:
            run.log("held-out", step=step, seconds=step / 2, bits_per_byte=4.2 / (1 + step / 20))
    kept = {"reward accuracy": {"before": 0.5, "after": 0.8}, "margin": {"before": 0.0, "after": 0.3}}
    outcome = {
        "bits_per_byte": 1.5,
        "low": 1.4,
        "high": 1.6,
        "parameters": 10,
        "tokens": 99,
        "seconds": 9.0,
        "sample": "Ink <b>ran</b>",
    }
    run.record(outcome=outcome, adapted={"from": "tiny", "kept_aside": kept})
    share, loss = {"value": 0.327, "low": 0.31, "high": 0.34}, {"value": 2.5, "unit": "nats a token"}
    for name, score, figure in (("mt", "BLEU", share), ("talks", "answer loss", loss)):
        tuned = Run.create(folder / name, with_settings(Recipe(), ["train.minutes=5"]))
        tuned.record(outcome={"score": score, "figures": {"dev": {score: figure}}})
    with served([folder / "tiny"], studio=folder) as running:
        running.listening.app.state.studio.machine = MACHINE
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en")
    opened = context.new_page()
    opened.set_default_timeout(90_000)
    faults = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    assert not faults


def show(page, server, name):
    page.goto(f"{server.url}/#/{name}")
    page.wait_for_selector(f"main[data-ready={name.partition('?')[0]}]")


def without_fault(page):
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_text_is_dropped_planned_and_trained_on(page, server):
    show(page, server, "runs")
    page.set_input_files(
        "input[type=file]", {"name": "<i>prose</i>.txt", "mimeType": "text/plain", "buffer": prose(30_000).encode()}
    )
    page.get_by_role("button", name="Show the plan").click()
    page.wait_for_selector(".planned table")
    assert "vocabulary" in page.inner_text(".planned") and "times over" in page.inner_text(".planned")
    without_fault(page)
    page.get_by_label("Name", exact=True).fill("from the page")
    page.get_by_role("button", name="Begin training").click()
    page.get_by_role("button", name="Stop: from-the-page").or_(
        page.get_by_role("button", name="Take back: from-the-page")
    ).click()
    page.wait_for_selector(".job.running, .job.waiting", state="detached")
    jobs = httpx.get(f"{server.url}/studio/api/jobs").json()["jobs"]
    assert [(job["run"], job["about"]["text"], job["state"]) for job in jobs] == [
        ("from-the-page", "i>.txt", "stopped")
    ]


def test_a_run_is_looked_at(page, server):
    show(page, server, "runs?run=poems")
    label = page.get_by_role("img", name="bits per byte").get_attribute("aria-label")
    assert label == "bits per byte: 2.800 at the first score, 1.200 at step 50"
    assert "32.7 % BLEU" in page.inner_text("#run-mt") and "2.500 answer loss" in page.inner_text("#run-talks")
    assert "Ink <b>ran</b>" in page.inner_text("#run-poems") and "80 %" in page.inner_text("#run-poems .learned")
    without_fault(page)
    Run(server.listening.app.state.studio.folder.run("poems")).log("held-out", step=70, seconds=40, bits_per_byte=0.9)
    page.get_by_role("button", name="Close: poems").click()
    page.get_by_role("button", name="Look at it: poems").click()
    page.get_by_role("img", name="0.900 at step 70").wait_for()
    page.locator("#language").click()
    page.get_by_role("img", name="第 70 步 0.900").wait_for()


SLOW = """
    const plain = fetch;
    window.fetch = async (path, options) => {
      const found = await plain(path, options);
      if (String(path).includes("/journal")) await new Promise((done) => setTimeout(done, 3500));
      return found;
    };
"""


def test_answers_that_come_late_draw_no_point_twice(page, server):
    run = Run.create(
        server.listening.app.state.studio.folder.root / "slow", with_settings(Recipe(), ["train.minutes=5"])
    )
    run.log("held-out", step=1, bits_per_byte=4.0)
    page.add_init_script(SLOW)
    show(page, server, "runs?run=slow")
    page.wait_for_selector(".curve .dot")
    for step in range(2, 5):
        run.log("held-out", step=step, bits_per_byte=4.0 / step)
        page.wait_for_timeout(2000)
    page.wait_for_function("() => document.querySelectorAll('.curve .dot').length >= 4")
    page.wait_for_timeout(4000)
    assert page.locator(".curve .dot").count() == 4


def test_what_cleaning_drops_is_shown(page, server):
    show(page, server, "data")
    lines = [f"The {n}th stone lay in the river for {n * 7} days and nights." for n in range(30)]
    records = "".join(json.dumps({"text": each}) + "\n" for each in [*lines, lines[3], "<script>alert(1)</script>"])
    page.set_input_files(
        "input[type=file]", {"name": "a.jsonl", "mimeType": "application/json", "buffer": records.encode()}
    )
    page.wait_for_selector(".found table", timeout=240_000)
    shown = page.inner_text(".found")
    assert "duplicate" in shown and "a.jsonl#30" in shown and "English" in shown and "Most frequent tokens" in shown
    without_fault(page)


def test_marks_are_listed_exported_and_taken_back(page, server):
    for number in range(3):
        body = {
            "kind": "up",
            "messages": [{"role": "user", "content": f"Why {number}?"}],
            "answer": "<img src=x>",
            "model": "tiny",
        }
        assert httpx.post(f"{server.url}/studio/api/feedback", json=body).status_code == 200
    body |= {"kind": "better", "other": "That."}
    httpx.post(f"{server.url}/studio/api/feedback", json=body)
    show(page, server, "feedback")
    assert page.locator(".mark").count() == 4 and "Needed are 20 pairs" in page.inner_text("main")
    assert "inkstone adapt tiny --from feedback.sqlite" in page.inner_text("pre")
    assert page.get_by_role("button", name="Begin", exact=True).is_disabled()
    without_fault(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Pairs (jsonl)").click()
    assert json.loads(download.value.path().read_text())["rejected"] == "That."
    page.get_by_role("button", name="Take back: Why 0?").click()
    sync_api.expect(page.locator(".mark")).to_have_count(3)


@pytest.mark.parametrize("name", ["runs", "data", "feedback"])
def test_pages_speak_chinese_on_a_phone(page, server, name):
    page.set_viewport_size({"width": 360, "height": 740})
    show(page, server, name)
    page.locator("#language").click()
    title = page.locator("h1").inner_text()
    assert any("\u4e00" <= letter <= "\u9fff" for letter in title)
    without_fault(page)
