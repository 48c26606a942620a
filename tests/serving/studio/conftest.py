"""Debian's Chromium before the studio, and small random models behind it.

Each page is a fresh visit. When it ends, nothing may have been asked of another address, no script may have failed, and the policy
of the page may have refused nothing.
"""

import os
import shutil
from pathlib import Path

import pytest
import torch

from inkstone.hub.headed_layout import save_headed
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.headed import Headed
from inkstone.tasks.classify import Classify
from inkstone.tasks.labelled import Labelled

from ..servers import served, small_decoder, write_decoder

CHROMIUM = shutil.which("chromium")
SOUND = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WAIT = 20_000  # milliseconds for what a loaded machine may take its time for
ARTEFACTS = "INKSTONE_ARTEFACTS"  # where pictures of the pages are kept, if anywhere


def write_labels(folder: Path) -> Path:
    """A run that was tuned to label texts, its weights as they were drawn."""
    tokenizer = small_decoder().tokenizer
    task = Classify()
    task.learn([Labelled(str(n), "x", None, (label,)) for n, label in enumerate(("good", "bad", "<b>odd</b>"))])
    body = Encoder(EncoderSettings.of_size(tokenizer.vocab_size, 32, 2), tokenizer)
    body.initialise(torch.Generator().manual_seed(0))
    model = Headed(body, task.head()).initialise_head(torch.Generator().manual_seed(1))
    save_headed(model, folder, {"name": "classify", "context": 64, **task.to_dict()})
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory):
    """A server of a model that converses, one that goes on with texts, and one that labels them."""
    folder = tmp_path_factory.mktemp("studio")
    runs = [
        write_decoder(folder / "tiny"),
        write_decoder(folder / "base", template=False),
        write_labels(folder / "labels"),
    ]
    with served(runs, studio=folder) as running:
        yield running


@pytest.fixture(scope="package")
def browser():
    """One browser for all pages. It ends with them: while it is driven, nothing else may run an event loop here."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *SOUND])
        yield found
        found.close()


class Visit:
    """A page of the studio in a window of its own."""

    def __init__(self, browser, server, **window):
        window = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "color_scheme": "light", **window}
        self.server = server
        self.context = browser.new_context(reduced_motion="reduce", permissions=["microphone"], **window)
        self.context.set_default_timeout(WAIT)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(f"a script failed: {error}"))
        self.page.on("console", self._hear)
        self.page.on("request", self._watch)

    def _hear(self, message) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def _watch(self, request) -> None:
        if not request.url.startswith((self.server.url, "blob:", "data:")):
            self.faults.append(f"asked of another address: {request.url}")

    def open(self, name: str):
        """Go to a page, and wait until it is there."""
        self.page.goto(f"{self.server.url}/#/{name}")
        self.page.wait_for_selector(f"main[data-ready='{name.partition('?')[0]}']")
        return self.page

    def keep(self, name: str) -> None:
        """A picture of the page, where pictures are wanted."""
        if folder := os.environ.get(ARTEFACTS):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"studio-{name}.png")


@pytest.fixture
def visit(browser, studio):
    """A function that opens a window: visit(locale="zh-CN", viewport=...)."""
    windows: list[Visit] = []

    def opened(server=studio, **window) -> Visit:
        windows.append(Visit(browser, server, **window))
        return windows[-1]

    yield opened
    faults = [fault for window in windows for fault in window.faults]
    for window in windows:
        window.context.close()
    assert not faults


@pytest.fixture
def slowed(studio, monkeypatch):
    """The models write as slowly as one can read, so that there is something to stop."""
    import time

    for name in ("tiny", "base"):
        engine = studio.house.find(name).engine.engine
        step = engine.step

        def slow(step=step) -> bool:
            time.sleep(0.05)
            return step()

        monkeypatch.setattr(engine, "step", slow)
    return studio
